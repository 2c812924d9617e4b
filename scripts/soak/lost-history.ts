/** Takes the history away: writes elsewhere until no member has any of the oplog from before. */

import { Binary, MongoClient, Timestamp } from "mongodb";

import type { ReplicaSet } from "../mongod.ts";
import type { Follower } from "./follower.ts";

/** Large enough that members that were away for seconds, and captures that were suspended, find their place again. */
export const OPLOG_MB = 40;

const DIRECT = { serverSelectionTimeoutMS: 20_000, socketTimeoutMS: 30_000 } as const;
const PADDING = new Binary(new Uint8Array(900_000).fill(7));
const PATIENCE_MS = 120_000;

/** Whether it has: the set may be disturbed by what other faults have left. */
export async function loseHistory(set: ReplicaSet, follower: Follower): Promise<boolean> {
  try {
    return await turnOver(set, follower);
  } catch {
    return false;
  }
}

async function turnOver(set: ReplicaSet, follower: Follower): Promise<boolean> {
  const past = follower.last;
  const primary = await set.primary();
  await using client = await MongoClient.connect(`mongodb://${primary.address}/?directConnection=true`, DIRECT);
  // All members take each write before the next one: one that fell behind the oplog would be lost to the set.
  const noise = client.db("noise").collection("noise", { writeConcern: { w: set.members.length, wtimeoutMS: 20_000 } });
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await isGone(set, past))) {
    if (Date.now() > deadline) return false;
    const begin = Date.now() / 1000;
    for (let i = 0; i < 4; i += 1) await noise.insertMany([1, 2, 3].map(() => ({ padding: PADDING })));
    // The truth must not be lost as well.
    while (follower.last.t < begin - 1 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await noise.drop();
  return true;
}

/** Whether the oplog of every member begins behind `past`. */
async function isGone(set: ReplicaSet, past: Timestamp): Promise<boolean> {
  for (const { address } of set.members) {
    await using client = await MongoClient.connect(`mongodb://${address}/?directConnection=true`, DIRECT);
    const oplog = client.db("local").collection("oplog.rs");
    const oldest = await oplog.findOne({}, { sort: { $natural: 1 }, projection: { ts: 1 } });
    const ts: unknown = oldest?.["ts"];
    if (!(ts instanceof Timestamp) || ts.lessThanOrEqual(past)) return false;
  }
  return true;
}
