/**
 * What is mended of the driver (7.9), in files that are no part of its API: why, and what was seen without it, is told in
 * docs/decisions/209-driver-patches.md.
 */

import { MongoNetworkError } from "mongodb";
import { Connection, SizedMessageTransform } from "mongodb/lib/cmap/connection.js";
import { MongoDBResponse } from "mongodb/lib/cmap/wire_protocol/responses.js";

import { ReplyBuffer } from "./reply-buffer.ts";

let isPatched = false;

/** For all clients of this thread, once. */
export function patchDriver(): void {
  if (isPatched) return;
  isPatched = true;
  const connection: object = Connection.prototype;
  const response: object = MongoDBResponse.prototype;
  const transform: object = SizedMessageTransform.prototype;
  failWritesOfClosedConnections(connection as DriverConnection);
  useReplyBuffer(transform as DriverTransform);
  copyClusterTimeSignature(response as DriverResponse);
}

/** What is used here of `lib/cmap/connection.js`. */
interface DriverConnection {
  /** Why it is closed; set before `close` is emitted. */
  readonly error: Error | null;
  writeCommand: (this: DriverConnection, command: unknown, options: unknown) => Promise<void>;
  once(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

/**
 * Lets a command fail whose connection closes while it is written. The driver waits for the socket's `drain` and hears
 * of its `error` alone: a socket that closes without one, as Bun's may and as the driver closes them itself, is waited
 * for without end, because no time limit of a closed connection counts any more.
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

/** What else is used here of it. */
interface DriverTransform {
  bufferPool: object;
  _transform: (this: DriverTransform, chunk: Buffer, encoding: string, callback: () => void) => unknown;
}

/** Lets a connection put its replies together in a buffer of ours, which is the faster one. */
function useReplyBuffer(prototype: DriverTransform): void {
  const { _transform } = prototype;
  prototype._transform = function (chunk, encoding, callback) {
    if (!(this.bufferPool instanceof ReplyBuffer)) this.bufferPool = new ReplyBuffer();
    return _transform.call(this, chunk, encoding, callback);
  };
}

/** What is used here of `lib/cmap/wire_protocol/responses.js`. */
interface DriverResponse {
  readonly $clusterTime: { readonly signature?: { readonly hash?: { buffer: Uint8Array } } } | null;
}

/**
 * Lets the driver keep a copy of the signature of the cluster time instead of a view into all of a reply: then nobody but
 * us refers to the memory of a reply, and it may be given back (lib/give-back.ts).
 */
function copyClusterTimeSignature(prototype: DriverResponse): void {
  const known = Object.getOwnPropertyDescriptor(prototype, "$clusterTime");
  if (known?.get === undefined) throw new TypeError("unreachable: the driver's version is pinned");
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
