/** A TCP proxy on loopback that does what bad networks do: cut, reset, swallow, delay and throttle. */
import { type Socket, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface DropOptions {
  /** Counted in this direction; default: from the server to the client. */
  readonly direction?: Direction;
  /** `reset` (RST) by default, or `end` (FIN). */
  readonly how?: "reset" | "end";
  /** How many connections are cut, default 1. */
  readonly times?: number;
}

export interface Proxy extends AsyncDisposable {
  /** Where clients connect, on 127.0.0.1. */
  readonly port: number;
  /** Open ones. */
  readonly connections: number;
  /** Accepted since the start. */
  readonly accepted: number;
  /** Bytes passed on since the start. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Cuts a connection after exactly this many bytes from now, or from its start if it is new. */
  dropAfter(bytes: number, options?: DropOptions): void;
  /** Resets every open connection. New ones are accepted. */
  resetAll(): void;
  /** On: connections stay open, new ones are accepted, and not a byte passes. Off: what waited goes on. */
  blackhole(isOn: boolean): void;
  /** On: new connections are reset at once. */
  refuse(isOn: boolean): void;
  /** Each byte arrives this much later, in each direction. */
  delay(ms: number): void;
  /** Bytes per second, in each direction: of each connection, or of all `together`. `Infinity` lifts it. */
  bandwidth(bytesPerSecond: number, together?: "together"): void;
  /** Resets all connections and listens no more. */
  close(): Promise<void>;
}

type Direction = "toClient" | "toServer";

/** What happens to every byte: shared by all connections of a proxy, changed at any time. */
interface Conditions {
  delayMs: number;
  bytesPerSecond: number;
  /** When the shared bandwidth is free again; undefined if each connection has its own. */
  freeAt: Record<Direction, number> | undefined;
  isBlackhole: boolean;
  readonly bytes: Record<Direction, number>;
  drop: { bytes: number; direction: Direction; how: "reset" | "end"; times: number } | undefined;
}

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes passed on since the last `dropAfter()`. */
  readonly counted: Record<Direction, number>;
}

/** How often a blackholed connection checks whether it may go on. */
const TICK_MS = 5;
/** Above this the proxy stops reading, so that the sender blocks as in a full network. */
const MAX_QUEUED_BYTES = 256 * 1024;

/** Starts a proxy to `port` on 127.0.0.1. */
export async function startProxy({ port: target }: { readonly port: number }): Promise<Proxy> {
  const conditions: Conditions = {
    delayMs: 0,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    freeAt: undefined,
    isBlackhole: false,
    bytes: { toClient: 0, toServer: 0 },
    drop: undefined,
  };
  const connections = new Set<Connection>();
  let accepted = 0;
  let isRefusing = false;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    accepted += 1;
    client.on("error", () => undefined);
    if (isRefusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const connection: Connection = { client, server: upstream, counted: { toClient: 0, toServer: 0 } };
    connections.add(connection);
    // When one side breaks or is destroyed, so is the other: a reset is passed on as a reset.
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("error", () => other.resetAndDestroy());
      one.once("close", () => {
        if (!one.readableEnded && !other.destroyed) other.resetAndDestroy();
        if (client.destroyed && upstream.destroyed) connections.delete(connection);
      });
    }
    void pass(connection, "toServer", conditions);
    void pass(connection, "toClient", conditions);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("unreachable: a TCP server has a port");

  const resetAll = (): void => {
    for (const connection of connections) reset(connection);
  };
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    resetAll();
    await closed;
  };
  return {
    port: address.port,
    get connections() {
      return connections.size;
    },
    get accepted() {
      return accepted;
    },
    bytes: conditions.bytes,
    dropAfter(bytes, { direction = "toClient", how = "reset", times = 1 } = {}) {
      for (const { counted } of connections) Object.assign(counted, { toClient: 0, toServer: 0 });
      conditions.drop = { bytes, direction, how, times };
    },
    resetAll,
    blackhole: (isOn) => void (conditions.isBlackhole = isOn),
    refuse: (isOn) => void (isRefusing = isOn),
    delay: (ms) => void (conditions.delayMs = ms),
    bandwidth(bytesPerSecond, together) {
      conditions.bytesPerSecond = bytesPerSecond;
      conditions.freeAt = together === undefined ? undefined : { toClient: 0, toServer: 0 };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function reset({ client, server }: Connection): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}

/** Passes the bytes of one direction on, under the conditions, until its end or that of the connection. */
async function pass(connection: Connection, direction: Direction, conditions: Conditions): Promise<void> {
  const isToClient = direction === "toClient";
  const from = isToClient ? connection.server : connection.client;
  const to = isToClient ? connection.client : connection.server;
  for await (const chunk of delayed(from, conditions)) {
    for (let at = 0; at < chunk.length;) {
      while (conditions.isBlackhole && !to.destroyed) await sleep(TICK_MS);
      const { bytesPerSecond, drop } = conditions;
      const isLimited = Number.isFinite(bytesPerSecond);
      const left =
        drop?.direction === direction ? drop.bytes - connection.counted[direction] : Number.POSITIVE_INFINITY;
      // Slices of a 50th of a second.
      const slice = isLimited ? Math.max(1, Math.floor(bytesPerSecond / 50)) : chunk.length;
      const piece = chunk.subarray(at, at + Math.min(slice, left));
      if (piece.length > 0) await new Promise<void>((resolve) => to.write(piece, () => resolve()));
      if (to.destroyed) return;
      at += piece.length;
      conditions.bytes[direction] += piece.length;
      connection.counted[direction] += piece.length;
      if (piece.length === left && drop !== undefined) {
        drop.times -= 1;
        if (drop.times <= 0) conditions.drop = undefined;
        if (drop.how === "reset") reset(connection);
        else for (const socket of [from, to]) socket.destroySoon();
        return;
      }
      if (isLimited) await sleep(msOnTheWire(conditions, direction, (piece.length / bytesPerSecond) * 1000));
    }
  }
  if (!to.destroyed) to.end();
}

/** How long a piece that takes `ms` must wait, with the pieces before it if the bandwidth is shared. */
function msOnTheWire({ freeAt }: Conditions, direction: Direction, ms: number): number {
  if (freeAt === undefined) return ms;
  const now = performance.now();
  freeAt[direction] = Math.max(freeAt[direction], now) + ms;
  return freeAt[direction] - now;
}

/** Yields what `from` sends, each chunk `conditions.delayMs` after it came. Returns when `from` ends or is destroyed. */
async function* delayed(from: Socket, conditions: Conditions): AsyncGenerator<Buffer, void, undefined> {
  const queue: { readonly due: number; readonly chunk: Buffer }[] = [];
  let queuedBytes = 0;
  let isOver = false;
  let wake = (): void => undefined;
  from.on("data", (chunk: Buffer) => {
    queue.push({ due: Date.now() + conditions.delayMs, chunk });
    queuedBytes += chunk.length;
    if (queuedBytes > MAX_QUEUED_BYTES) from.pause();
    wake();
  });
  const end = (): void => {
    isOver = true;
    wake();
  };
  from.once("end", end).once("close", end);
  for (;;) {
    const next = queue.shift();
    if (next === undefined) {
      if (isOver) return;
      await new Promise<void>((resolve) => (wake = resolve));
      continue;
    }
    const early = next.due - Date.now();
    if (early > 0) await sleep(early);
    yield next.chunk;
    queuedBytes -= next.chunk.length;
    if (queuedBytes <= MAX_QUEUED_BYTES) from.resume();
  }
}
