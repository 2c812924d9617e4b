/**
 * A server that only speaks the wire protocol, for replies that a real one does not give on demand. Its `hello` is that of
 * the primary of a replica set, and the handlers of the test reply to commands.
 * https://github.com/mongodb/specifications/blob/master/source/message/OP_MSG.md
 */
import { createServer, type Socket } from "node:net";
import { BSON, type Document, Long, Timestamp, UUID } from "mongodb";

/** A reply document, a reply as BSON bytes, a whole message as it goes over the wire, or what a broken server does. */
export type Reply =
  | Document
  | { readonly body: Uint8Array }
  | { readonly message: (requestId: number) => Uint8Array }
  | "silence"
  | "close";

export type Handler = (command: Document, count: number) => Reply | Promise<Reply>;

export interface MockServer extends AsyncDisposable {
  readonly uri: string;
  /** The received commands, without handshakes, pings and the like, each with its time in ms. */
  readonly commands: readonly { readonly name: string; readonly command: Document; readonly at: number }[];
  /** What the collection holds besides: nothing is sent that is not asked for by a handler. */
  readonly collection: { readonly db: string; readonly name: string };
}

export interface MockOptions {
  /** By name of the command. `count` is 1 for its first call. */
  readonly on: Readonly<Record<string, Handler>>;
  /** Of all replies; default: 2026-01-01. */
  readonly now?: Timestamp;
  /** Further fields of `hello`. */
  readonly hello?: () => Document;
}

export const MOCK_NOW = new Timestamp({ t: 1_767_225_600, i: 1 });
const COLLECTION = { db: "shop", name: "orders" } as const;
const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
/** Commands that the driver sends on its own. */
const QUIET = new Set(["hello", "ismaster", "isMaster", "ping", "buildInfo", "endSessions", "replSetGetConfig"]);

/** `error(280, "…")`: the reply of a command that has failed. */
export function error(code: number, errmsg: string, errorLabels: readonly string[] = []): Document {
  return { ok: 0, code, codeName: `Code${code}`, errmsg, errorLabels };
}

/** The reply with which a cursor begins or goes on. */
export function batch(documents: readonly Document[], more: Document = {}, name = "nextBatch"): Document {
  const ns = `${COLLECTION.db}.$cmd.aggregate`;
  return { cursor: { [name]: documents, id: Long.fromNumber(77), ns, ...more }, operationTime: MOCK_NOW };
}

/** The token of an event (`kind` "event", with a distinct number), or of a high-water mark. */
export function tokenAt(time: Timestamp, kind: "event" | "highWater" = "highWater", number = 0): Document {
  const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0");
  const rest = kind === "highWater" ? "2B0229296E04" : `2B022C0100296E5A1004${hex(number)}04`;
  return { _data: `82${hex(time.t)}${hex(time.i)}${rest}` };
}

/** The insert event of `document`. */
export function insertAt(time: Timestamp, document: Document, more: Document = {}): Document {
  return {
    _id: tokenAt(time, "event", Number(document["_id"])),
    operationType: "insert",
    clusterTime: time,
    ns: { db: COLLECTION.db, coll: COLLECTION.name },
    documentKey: { _id: document["_id"] },
    fullDocument: document,
    ...more,
  };
}

/** The opening of a change stream at `time`. */
export function opened(time: Timestamp = MOCK_NOW): Document {
  return batch([], { postBatchResumeToken: tokenAt(time) }, "firstBatch");
}

/** Answers a `find` by a range of `_id` as a collection of these numbers does. */
export function collectionOf(ids: readonly number[], at: Timestamp = MOCK_NOW): Handler {
  return ({ filter, min, max, batchSize }) => {
    const isIn = (id: number): boolean => id >= (min?._id ?? -Infinity) && id < (max?._id ?? Infinity);
    const found = filter === undefined ? ids.filter(isIn).slice(0, Number(batchSize)) : [];
    return batch(
      found.map((_id) => ({ _id })),
      { id: Long.ZERO, atClusterTime: at },
      "firstBatch",
    );
  };
}

/** `time` plus `increments`. */
export function after(time: Timestamp, increments: number): Timestamp {
  return new Timestamp({ t: time.t, i: time.i + increments });
}

export async function startMockServer({ on, now = MOCK_NOW, hello }: MockOptions): Promise<MockServer> {
  const sockets = new Set<Socket>();
  const commands: { name: string; command: Document; at: number }[] = [];
  const counts = new Map<string, number>();
  let address = "";

  async function answer(command: Document): Promise<Reply> {
    const name = Object.keys(command)[0] ?? "";
    if (!QUIET.has(name)) commands.push({ name, command, at: performance.now() });
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    const handler = on[name];
    if (handler !== undefined) return await handler(command, count);
    return name === "hello" && hello !== undefined ? { ...usual(name, address), ...hello() } : usual(name, address);
  }
  async function serve(socket: Socket): Promise<void> {
    for await (const message of messagesOf(socket)) {
      const requestId = message.readInt32LE(4);
      const isQuery = message.readInt32LE(12) === OP_QUERY;
      const command = isQuery ? queryIn(message) : commandIn(message);
      const reply = await answer(command);
      if (reply === "silence") continue;
      if (reply === "close") {
        socket.destroy();
        return;
      }
      socket.write(wired(reply, requestId, isQuery, now));
    }
  }
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket)).on("error", () => undefined);
    serve(socket).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("unreachable: a TCP server has a port");
  address = `127.0.0.1:${bound.port}`;
  return {
    uri: `mongodb://${address}/?replicaSet=rs`,
    commands,
    collection: COLLECTION,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function usual(name: string, address: string): Document {
  switch (name) {
    case "hello":
    case "isMaster":
    case "ismaster":
      return {
        ismaster: true,
        isWritablePrimary: true,
        helloOk: true,
        setName: "rs",
        setVersion: 1,
        hosts: [address],
        primary: address,
        me: address,
        maxBsonObjectSize: 16_777_216,
        maxMessageSizeBytes: 48_000_000,
        maxWriteBatchSize: 100_000,
        logicalSessionTimeoutMinutes: 30,
        minWireVersion: 0,
        maxWireVersion: 17,
      };
    case "buildInfo":
      return { version: "6.0.27", versionArray: [6, 0, 27, 0] };
    case "listCollections": {
      const info = { readOnly: false, uuid: new UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6") };
      return batch([{ name: COLLECTION.name, type: "collection", options: {}, info }], { id: Long.ZERO }, "firstBatch");
    }
    case "aggregate":
      return opened();
    case "find":
      return batch([], { id: Long.ZERO, atClusterTime: MOCK_NOW }, "firstBatch");
    case "ping":
    case "endSessions":
    case "killCursors":
      return {};
    default:
      return error(59, `no such command: '${name}'`);
  }
}

async function* messagesOf(socket: Socket): AsyncGenerator<Buffer, void, undefined> {
  let pending = Buffer.alloc(0);
  for await (const chunk of socket) {
    pending = Buffer.concat([pending, chunk as Buffer]);
    while (pending.length >= 4 && pending.length >= pending.readInt32LE(0)) {
      const length = pending.readInt32LE(0);
      yield pending.subarray(0, length);
      pending = pending.subarray(length);
    }
  }
}

/** Header 16, flags 4, then sections: kind 0 is the body. Sections of other kinds (inserts) are left out. */
function commandIn(message: Buffer): Document {
  return BSON.deserialize(message.subarray(21, 21 + message.readInt32LE(21)));
}

/** Header 16, flags 4, name of the collection, skip 4, return 4, document: what the driver begins with. */
function queryIn(message: Buffer): Document {
  const at = message.indexOf(0, 20) + 1 + 8;
  return BSON.deserialize(message.subarray(at, at + message.readInt32LE(at)));
}

function wired(reply: Exclude<Reply, string>, requestId: number, isQuery: boolean, now: Timestamp): Uint8Array {
  if (isMessage(reply)) return reply.message(requestId);
  const body = hasBody(reply) ? reply.body : BSON.serialize({ ok: 1, operationTime: now, ...reply });
  // OP_REPLY: flags, cursor id, starting from, number returned. OP_MSG: flags, then a section of kind 0.
  const head = isQuery ? Buffer.from([8, ...Array.from({ length: 15 }, () => 0), 1, 0, 0, 0]) : Buffer.alloc(5);
  return frame(requestId, isQuery ? OP_REPLY : OP_MSG, Buffer.concat([head, body]));
}

/** A message with its header. `length` may be wrong. */
export function frame(responseTo: number, opCode: number, body: Uint8Array, length = 16 + body.length): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(length, 0);
  header.writeInt32LE(1, 4);
  header.writeInt32LE(responseTo, 8);
  header.writeInt32LE(opCode, 12);
  return Buffer.concat([header, body]);
}

function isMessage(reply: Exclude<Reply, string>): reply is { readonly message: (requestId: number) => Uint8Array } {
  return typeof (reply as { message?: unknown }).message === "function";
}

function hasBody(reply: Exclude<Reply, string>): reply is { readonly body: Uint8Array } {
  return (reply as { body?: unknown }).body instanceof Uint8Array;
}
