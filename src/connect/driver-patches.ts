/**
 * Patches the driver (7.9) in files that are not part of its API. Why, and what happened without the patches:
 * docs/decisions/209-driver-patches.md.
 */

import { Binary, BSON, Long, MongoNetworkError, Timestamp } from "mongodb";
import { OpMsgRequest } from "mongodb/lib/cmap/commands.js";
import { Connection, SizedMessageTransform } from "mongodb/lib/cmap/connection.js";
import { MongoDBResponse } from "mongodb/lib/cmap/wire_protocol/responses.js";

import { MessageAssembler } from "./message-assembler.ts";
import { appendElements, RAW_FIELDS, RawFields } from "./raw-fields.ts";

let isPatched = false;
let isSignatureCopied = false;

/** Patches the driver for all clients of this thread. Calls after the first do nothing. */
export function patchDriver(): void {
  if (isPatched) return;
  isPatched = true;
  const connection: object = Connection.prototype;
  const transform: object = SizedMessageTransform.prototype;
  const message: object = OpMsgRequest.prototype;
  failWritesOfClosedConnections(connection as DriverConnection);
  useMessageAssembler(transform as DriverTransform);
  copyClusterTimeSignature(MongoDBResponse.prototype);
  appendRawFields(message as DriverMessage);
  isSignatureCopied = findIsSignatureCopied();
}

/**
 * Whether the driver keeps no view into a reply that it has returned, so that the memory of the reply may be freed. False
 * before `patchDriver`, and where the patch for it did not take hold.
 */
export function copiesClusterTimeSignature(): boolean {
  return isSignatureCopied;
}

/** The parts of `lib/cmap/connection.js` that the first patch uses. */
interface DriverConnection {
  /** Why the connection is closed; set before `close` is emitted. */
  readonly error: Error | null;
  writeCommand: (this: DriverConnection, command: unknown, options: unknown) => Promise<void>;
  once(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

/**
 * Fails a command whose connection closes while the command is being written. The driver waits for the socket's `drain`
 * and listens to its `error` only. Bun may close a socket without an error, and so does the driver itself: then the
 * driver waits for ever, because the timeouts of a closed connection no longer run.
 */
function failWritesOfClosedConnections(prototype: DriverConnection): void {
  const { writeCommand } = prototype;
  prototype.writeCommand = async function (command, options) {
    const { promise: closed, reject } = Promise.withResolvers<never>();
    const onClose = (): void => reject(this.error ?? new MongoNetworkError("the connection was closed"));
    this.once("close", onClose);
    try {
      await Promise.race([writeCommand.call(this, command, options), closed]);
    } finally {
      this.off("close", onClose);
    }
  };
}

/** The parts of it that the second patch uses. */
interface DriverTransform {
  bufferPool: object;
  _transform: (this: DriverTransform, chunk: Buffer, encoding: string, callback: () => void) => unknown;
}

/** Makes connections assemble replies in a MessageAssembler, which is faster than the driver's BufferPool. */
function useMessageAssembler(prototype: DriverTransform): void {
  const { _transform } = prototype;
  prototype._transform = function (chunk, encoding, callback) {
    if (!(this.bufferPool instanceof MessageAssembler)) this.bufferPool = new MessageAssembler();
    return _transform.call(this, chunk, encoding, callback);
  };
}

/** The parts of `lib/cmap/wire_protocol/responses.js` that the third patch uses. */
interface DriverResponse {
  readonly $clusterTime: { readonly signature?: { readonly hash?: { buffer: Uint8Array } } } | null | undefined;
}

/**
 * Makes the driver keep a copy of the cluster time's signature instead of a view into the whole reply: then only mongotap
 * refers to the memory of a reply and may free it (source/reply-memory.ts).
 */
function copyClusterTimeSignature(prototype: object): void {
  const known = Object.getOwnPropertyDescriptor(prototype, "$clusterTime");
  if (known?.get === undefined) return;
  Object.defineProperty(prototype, "$clusterTime", {
    configurable: true,
    get(this: DriverResponse): DriverResponse["$clusterTime"] {
      const time = known.get?.call(this) as DriverResponse["$clusterTime"];
      const hash = time?.signature?.hash;
      const isView = hash !== undefined && hash.buffer.byteLength < hash.buffer.buffer.byteLength;
      if (isView) hash.buffer = Uint8Array.from(hash.buffer);
      return time;
    },
  });
}

/** Tries the third patch on a reply. False if the driver does not work as it is taken to: then nothing is freed. */
function findIsSignatureCopied(): boolean {
  try {
    return isSignatureCopiedIn(sampleReply());
  } catch {
    return false;
  }
}

function sampleReply(): Uint8Array {
  return BSON.serialize({
    ok: 1,
    $clusterTime: {
      clusterTime: new Timestamp({ t: 1, i: 1 }),
      signature: { hash: new Binary(new Uint8Array(20)), keyId: Long.ONE },
    },
  });
}

function isSignatureCopiedIn(reply: Uint8Array): boolean {
  const Response = MongoDBResponse as unknown as new (bson: Uint8Array) => DriverResponse;
  const { $clusterTime: time } = new Response(reply);
  const hash = time?.signature?.hash;
  return hash !== undefined && hash.buffer.buffer !== reply.buffer;
}

/** The part of `lib/cmap/commands.js` that the fourth patch uses. */
interface DriverMessage {
  serializeBson: (this: DriverMessage, command: Readonly<Record<string, unknown>>) => Uint8Array;
}

/** Makes the driver send the RawFields of a command as the bytes that they are, behind its other fields. */
function appendRawFields(prototype: DriverMessage): void {
  const { serializeBson } = prototype;
  prototype.serializeBson = function (command) {
    const { [RAW_FIELDS]: raw, ...others } = command;
    if (!(raw instanceof RawFields)) return serializeBson.call(this, command);
    return appendElements(serializeBson.call(this, others), raw.bytes);
  };
}
