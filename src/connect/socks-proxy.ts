/**
 * A SOCKS5 proxy on loopback through which the driver reaches every member of a cluster by its own name. Any user of this
 * machine can connect to it, so it requires a password that only this process knows, and connects to the members only.
 * Specs: RFC 1928 (SOCKS5; the CONNECT command only), RFC 1929 (username/password authentication).
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";

/** The driver's options of the same names. */
export interface ProxyOptions {
  readonly proxyHost: string;
  readonly proxyPort: number;
  readonly proxyUsername: string;
  readonly proxyPassword: string;
}

export interface SocksProxySettings {
  readonly isAllowed: (host: string, port: number) => boolean;
  /** Connects to a member, by the name that the driver knows. Reports its failures itself. */
  readonly open: (host: string, port: number) => Promise<Duplex>;
  /** Receives a message for each client without the password and each destination that is not allowed. */
  readonly onRefused: (what: string) => void;
}

export interface SocksProxy extends AsyncDisposable {
  readonly proxyOptions: ProxyOptions;
}

/** How long a client may take until its request is complete. */
const HANDSHAKE_MS = 10_000;
/** No message of the handshake is longer than 513 bytes (username and password). */
const MAX_UNREAD_BYTES = 1024;

/** RFC 1928, 3 and 4. */
const VERSION = 5;
const USERNAME_PASSWORD = 2;
const NO_ACCEPTABLE_METHODS = 0xff;
const CONNECT = 1;
const ATYP = { ipv4: 1, domainName: 3, ipv6: 4 } as const;
/** The REP field of a reply: RFC 1928, 6. */
const REP = {
  succeeded: 0,
  generalFailure: 1,
  notAllowedByRuleset: 2,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const;
/** Of the subnegotiation: RFC 1929, 2. */
const AUTH_VERSION = 1;
const AUTH_STATUS = { success: 0, failure: 1 } as const;

/** Starts the proxy on a port that the system chooses. */
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

/** Never rejects: failures close the socket. */
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
    if (request.command !== CONNECT) return refuse(socket, REP.commandNotSupported);
    if (request.host === undefined) return refuse(socket, REP.addressTypeNotSupported);
    const { host, port } = request;
    if (!settings.isAllowed(host, port)) {
      settings.onRefused(`the tunnel leads to the members of the cluster only, not to ${host}:${port}`);
      return refuse(socket, REP.notAllowedByRuleset);
    }
    reader.stop();
    const channel = await settings.open(host, port).catch(() => undefined); // open() has reported it
    if (channel === undefined) return refuse(socket, REP.generalFailure);
    relay(socket, channel);
  } finally {
    clearTimeout(timer);
  }
}

async function authenticate(socket: Socket, reader: HandshakeReader, login: string): Promise<boolean> {
  const greeting = await reader.take(2);
  const methods = greeting?.[0] === VERSION ? await reader.take(greeting[1] ?? 0) : undefined;
  if (methods === undefined || !methods.includes(USERNAME_PASSWORD)) {
    sendAndClose(socket, [VERSION, NO_ACCEPTABLE_METHODS]);
    return false;
  }
  socket.write(Buffer.from([VERSION, USERNAME_PASSWORD]));
  const [version, userLength = 0] = (await reader.take(2)) ?? [];
  const user = await reader.take(userLength);
  const [passwordLength = 0] = (await reader.take(1)) ?? [];
  const password = await reader.take(passwordLength);
  const given = `${user?.toString("latin1") ?? ""}:${password?.toString("latin1") ?? ""}`;
  const isRight = version === AUTH_VERSION && timingSafeEqual(digest(given), digest(login));
  if (isRight) socket.write(Buffer.from([AUTH_VERSION, AUTH_STATUS.success]));
  else sendAndClose(socket, [AUTH_VERSION, AUTH_STATUS.failure]);
  return isRight;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Sends a reply with a failure and closes the connection. */
function refuse(socket: Socket, rep: number): void {
  sendAndClose(socket, replyOf(rep));
}

/** A reply. BND.ADDR and BND.PORT are 0.0.0.0:0: clients of CONNECT do not use them. */
function replyOf(rep: number): readonly number[] {
  return [VERSION, rep, 0, ATYP.ipv4, 0, 0, 0, 0, 0, 0];
}

function sendAndClose(socket: Socket, bytes: readonly number[]): void {
  socket.write(Buffer.from(bytes));
  socket.destroySoon();
}

/** Relays bytes in both directions. Closes both sides when one closes or fails, so that no half-open channel remains. */
function relay(socket: Socket, channel: Duplex): void {
  const close = (): void => {
    socket.destroy();
    channel.destroy();
  };
  channel.on("error", close);
  channel.once("close", close);
  socket.once("close", close);
  if (socket.destroyed) return close();
  socket.write(Buffer.from(replyOf(REP.succeeded)));
  channel.pipe(socket);
  socket.pipe(channel);
  return undefined;
}

/** Reads the fields of a handshake. Closes the connection of a client that sends data before the reply. */
class HandshakeReader {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length > MAX_UNREAD_BYTES) this.#socket.destroy();
    this.#wake();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#onData);
    for (const event of ["end", "close"]) socket.once(event, () => this.#wake());
  }

  /** Resolves to the next `count` bytes; to undefined if the client closes the connection before. */
  async take(count: number): Promise<Buffer | undefined> {
    while (this.#bytes.length < count) {
      if (this.#socket.destroyed || this.#socket.readableEnded) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  /** Reads the request. Resolves to undefined if it is incomplete or malformed; `host` is undefined for an unknown ATYP. */
  async request(): Promise<{ command: number; host: string | undefined; port: number } | undefined> {
    const [version, command, , addressType] = (await this.take(4)) ?? [];
    if (version !== VERSION || command === undefined) return void this.#socket.destroy();
    const host = await this.#address(addressType);
    const port = (await this.take(2))?.readUInt16BE(0);
    return port === undefined ? undefined : { command, host, port };
  }

  /** Stops reading: later bytes are for the member. */
  stop(): void {
    this.#socket.pause();
    this.#socket.off("data", this.#onData);
    if (this.#bytes.length > 0) this.#socket.destroy();
  }

  async #address(type: number | undefined): Promise<string | undefined> {
    if (type === ATYP.ipv4) return (await this.take(4))?.join(".");
    if (type === ATYP.domainName) return (await this.take((await this.take(1))?.[0] ?? 0))?.toString("latin1");
    if (type !== ATYP.ipv6) return undefined;
    const bytes = await this.take(16);
    if (bytes === undefined) return undefined;
    const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
    return groups.join(":");
  }
}
