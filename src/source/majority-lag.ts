/** How far the majority of a replica set is behind its primary. */

import type { MongoClient } from "mongodb";

/**
 * In ms, by the clock of the primary, in whole seconds; undefined where the server does not tell: every user may ask, but
 * standalone servers and routers have no such thing. Undefined as well when it cannot be asked just now.
 * https://www.mongodb.com/docs/manual/reference/command/hello/#mongodb-data-hello.lastWrite
 */
export async function majorityLagMs(client: MongoClient, signal: AbortSignal): Promise<number | undefined> {
  try {
    const reply = await client.db("admin").command({ hello: 1 }, { signal });
    const { lastWriteDate, majorityWriteDate } = (reply["lastWrite"] ?? {}) as Readonly<Record<string, unknown>>;
    if (!(lastWriteDate instanceof Date) || !(majorityWriteDate instanceof Date)) return undefined;
    return lastWriteDate.getTime() - majorityWriteDate.getTime();
  } catch {
    signal.throwIfAborted();
    return undefined; // what is wrong is told by the read that comes next
  }
}
