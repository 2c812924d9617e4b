/**
 * A SOCKS5 door on loopback through which the driver reaches every member of a cluster by its own name. Any user of this
 * machine can knock: so it takes a password that only this process knows, and leads to no more than the members.
 * Specs: RFC 1928 (CONNECT only), RFC 1929.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";

/** What the driver's options of the same names take. */
export interface ProxyOptions {
  readonly proxyHost: string;
  readonly proxyPort: number;
  readonly proxyUsername: string;
  readonly proxyPassword: string;
}

export interface SocksProxySettings {
  readonly isAllowed: (host: string, port: number) => boolean;
  /** Opens the way to a member; names are as the driver knows them. */
  readonly open: (host: string, port: number) => Promise<Duplex>;
  /** Told of every knock that is turned away. */
  readonly onRefused: (what: string) => void;
}

export interface SocksProxy extends AsyncDisposable {
  readonly proxyOptions: ProxyOptions;
}

/** Who has not said what it wants after this is turned away. */
const HANDSHAKE_MS = 10_000;

const VERSION = 5;
const BY_PASSWORD = 2;
const NO_METHOD = 0xff;
const CONNECT = 1;
const REPLY = { done: 0, failed: 1, notAllowed: 2, unknownCommand: 7, unknownAddress: 8 } as const;

/** Opens the door on a port that the system chooses. */
export async function startSocksProxy(settings: SocksProxySettings): Promise<SocksProxy> {
  const username = randomBytes(16).toString("hex");
  const password = randomBytes(24).toString("hex");
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
    void handleClient(socket, `${username}:${password}`, settings);
  });
  const port = await listen(server);
  return {
    proxyOptions: { proxyHost: "127.0.0.1", proxyPort: port, proxyUsername: username, proxyPassword: password },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Never rejects: what goes wrong ends the socket. */
async function handleClient(socket: Socket, login: string, settings: SocksProxySettings): Promise<void> {
  const reader = new HandshakeReader(socket);
  const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
  try {
    if (!(await authenticate(socket, reader, login))) {
      settings.onRefused("a program came to the door of the tunnel without its password");
      return;
    }
    const request = await reader.request();
    clearTimeout(timer);
    if (request === undefined) return;
    if (request.command !== CONNECT) return answer(socket, REPLY.unknownCommand);
    if (request.host === undefined) return answer(socket, REPLY.unknownAddress);
    const { host, port } = request;
    if (!settings.isAllowed(host, port)) {
      settings.onRefused(`the tunnel leads to the members of the cluster only, not to ${host}:${port}`);
      return answer(socket, REPLY.notAllowed);
    }
    reader.stop();
    const way = await settings.open(host, port).catch(() => undefined); // told by whoever opens
    if (way === undefined) return answer(socket, REPLY.failed);
    join(socket, way);
  } finally {
    clearTimeout(timer);
  }
}

async function authenticate(socket: Socket, reader: HandshakeReader, login: string): Promise<boolean> {
  const greeting = await reader.take(2);
  const methods = greeting?.[0] === VERSION ? await reader.take(greeting[1] ?? 0) : undefined;
  if (methods === undefined || !methods.includes(BY_PASSWORD)) {
    sendAndClose(socket, [VERSION, NO_METHOD]);
    return false;
  }
  socket.write(Buffer.from([VERSION, BY_PASSWORD]));
  const [version, userLength = 0] = (await reader.take(2)) ?? [];
  const user = await reader.take(userLength);
  const [passwordLength = 0] = (await reader.take(1)) ?? [];
  const password = await reader.take(passwordLength);
  const given = `${user?.toString("latin1") ?? ""}:${password?.toString("latin1") ?? ""}`;
  const isRight = version === 1 && timingSafeEqual(digest(given), digest(login));
  if (isRight) socket.write(Buffer.from([1, 0]));
  else sendAndClose(socket, [1, 1]);
  return isRight;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The last word of a knock that leads nowhere. */
function answer(socket: Socket, reply: number): void {
  sendAndClose(socket, [VERSION, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
}

function sendAndClose(socket: Socket, bytes: readonly number[]): void {
  socket.write(Buffer.from(bytes));
  socket.destroySoon();
}

/** Passes bytes on in both directions. Whichever side ends or breaks, both are closed: a half-open channel would stay. */
function join(socket: Socket, way: Duplex): void {
  const close = (): void => {
    socket.destroy();
    way.destroy();
  };
  way.on("error", close);
  way.once("close", close);
  socket.once("close", close);
  if (socket.destroyed) return close();
  socket.write(Buffer.from([VERSION, REPLY.done, 0, 1, 0, 0, 0, 0, 0, 0]));
  way.pipe(socket);
  socket.pipe(way);
  return undefined;
}

/** The bytes of a handshake, in the pieces in which they are asked for. A client that runs ahead is turned away. */
class HandshakeReader {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length > 1024) this.#socket.destroy();
    this.#wake();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#onData);
    for (const event of ["end", "close"]) socket.once(event, () => this.#wake());
  }

  /** Resolves to undefined when the other side has gone before it said so much. */
  async take(count: number): Promise<Buffer | undefined> {
    while (this.#bytes.length < count) {
      if (this.#socket.destroyed || this.#socket.readableEnded) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  async request(): Promise<{ command: number; host: string | undefined; port: number } | undefined> {
    const [version, command, , kind] = (await this.take(4)) ?? [];
    if (version !== VERSION || command === undefined) return void this.#socket.destroy();
    const host = await this.#address(kind);
    const port = (await this.take(2))?.readUInt16BE(0);
    return port === undefined ? undefined : { command, host, port };
  }

  /** No byte more is taken: what comes from now on is for the server. */
  stop(): void {
    this.#socket.pause();
    this.#socket.off("data", this.#onData);
    if (this.#bytes.length > 0) this.#socket.destroy();
  }

  async #address(kind: number | undefined): Promise<string | undefined> {
    if (kind === 1) return (await this.take(4))?.join(".");
    if (kind === 3) return (await this.take((await this.take(1))?.[0] ?? 0))?.toString("latin1");
    if (kind !== 4) return undefined;
    const bytes = await this.take(16);
    if (bytes === undefined) return undefined;
    const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
    return groups.join(":");
  }
}
