/**
 * Lets a command fail whose connection closes while it is written. The driver (7.9, `Connection.writeCommand`) waits for
 * the socket's `drain` and hears of its `error` alone: a socket that closes without one, as Bun's may and as the driver
 * closes them itself, is waited for without end, because no time limit of a closed connection counts any more
 * (docs/decisions/209-closed-while-writing.md).
 */

import { MongoNetworkError } from "mongodb";
import { Connection } from "mongodb/lib/cmap/connection.js";

/** What is used here of it. */
interface DriverConnection {
  /** Why it is closed; set before `close` is emitted. */
  readonly error: Error | null;
  writeCommand: (this: DriverConnection, command: unknown, options: unknown) => Promise<void>;
  once(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

const bare: object = Connection.prototype;
const prototype = bare as DriverConnection;
let isMended = false;

/** For all clients of this thread, once. */
export function mendWriting(): void {
  if (isMended) return;
  isMended = true;
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
