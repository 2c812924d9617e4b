/** MongoDB's wire protocol by hand, for what no driver sends and no server answers. */
import { connect, createServer, type Socket } from "node:net";
import { BSON, type Document } from "mongodb";

const OP_MSG = 2013;
const HEADER = 16;

/** One OP_MSG with one document. */
function messageOf(document: Uint8Array, requestId: number, responseTo: number): Buffer {
  const message = Buffer.alloc(HEADER + 5 + document.length);
  message.writeInt32LE(message.length, 0);
  message.writeInt32LE(requestId, 4);
  message.writeInt32LE(responseTo, 8);
  message.writeInt32LE(OP_MSG, 12);
  message.set(document, HEADER + 5); // behind the flags and the kind of the section, all 0
  return message;
}

/** Cuts what comes over a socket into messages. */
async function* messagesOf(socket: Socket): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const piece of socket) {
    rest = Buffer.concat([rest, piece as Buffer]);
    while (rest.length >= 4 && rest.length >= rest.readInt32LE(0)) {
      const length = rest.readInt32LE(0);
      yield rest.subarray(0, length);
      rest = rest.subarray(length);
    }
  }
}

/** Sends a command as raw BSON to a server on loopback; resolves to its reply. */
async function sendRaw(port: number, command: Uint8Array): Promise<Document> {
  const socket = connect({ port, host: "127.0.0.1" });
  try {
    socket.write(messageOf(command, 1, 0));
    for await (const message of messagesOf(socket)) return BSON.deserialize(message.subarray(HEADER + 5));
    throw new Error("the server closed the connection without an answer");
  } finally {
    socket.destroy();
  }
}

/** A BSON document with these elements, each given whole: type, name, 0, value. */
export function rawDocument(elements: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(elements);
  const document = Buffer.alloc(body.length + 5);
  document.writeInt32LE(document.length, 0);
  body.copy(document, 4);
  return document;
}

/** The elements of a document that the driver can write. */
export function elementsOf(document: Document): Buffer {
  const bytes = Buffer.from(BSON.serialize(document));
  return bytes.subarray(4, -1);
}

export function element(type: number, name: string, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type]), Buffer.from(`${name}\0`), value]);
}

/** An `insert` of raw documents that waits for the majority. */
export async function insertRaw(
  port: number,
  db: string,
  collection: string,
  documents: readonly Uint8Array[],
): Promise<void> {
  const array = rawDocument(documents.map((document, i) => element(0x03, String(i), document)));
  const reply = await sendRaw(
    port,
    rawDocument([
      elementsOf({ insert: collection }),
      element(0x04, "documents", array),
      elementsOf({ writeConcern: { w: "majority" }, $db: db }),
    ]),
  );
  if (reply["ok"] !== 1 || reply["n"] !== documents.length) throw new Error(`not inserted: ${JSON.stringify(reply)}`);
}

export interface MockServer extends AsyncDisposable {
  readonly uri: string;
}

/** Something that says hello like a mongod, and answers everything else with what `reply` makes of it. */
export async function startMockServer(reply: (command: Document) => Document): Promise<MockServer> {
  const hello = {
    ok: 1,
    isWritablePrimary: true,
    maxBsonObjectSize: 16_777_216,
    maxMessageSizeBytes: 48_000_000,
    maxWriteBatchSize: 100_000,
    minWireVersion: 0,
    maxWireVersion: 17,
  };
  const sockets = new Set<Socket>();
  const serve = async (socket: Socket): Promise<void> => {
    for await (const message of messagesOf(socket)) {
      // The first message of a connection may be an OP_QUERY: answered as a modern server does, with an OP_REPLY.
      const requestId = message.readInt32LE(4);
      if (message.readInt32LE(12) !== OP_MSG) {
        const body = Buffer.from(BSON.serialize(hello));
        const answer = Buffer.alloc(HEADER + 20 + body.length);
        answer.writeInt32LE(answer.length, 0);
        answer.writeInt32LE(requestId, 8);
        answer.writeInt32LE(1, 12);
        answer.writeInt32LE(1, HEADER + 16); // one document
        body.copy(answer, HEADER + 20);
        socket.write(answer);
        continue;
      }
      const command = BSON.deserialize(message.subarray(HEADER + 5));
      const answer = "hello" in command || "ismaster" in command ? hello : { ok: 1, ...reply(command) };
      socket.write(messageOf(BSON.serialize(answer), 1, requestId));
    }
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    serve(socket).catch(() => undefined); // a client that goes away
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    uri: `mongodb://127.0.0.1:${port}/?directConnection=true`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}
