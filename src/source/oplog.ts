/** How far back the server's history reaches. */

import type { Document, MongoClient } from "mongodb";
import { Timestamp } from "mongodb";

import { toMongotapError, serverCodeOf } from "../connect/server-errors.ts";
import { clusterTimeOf } from "./cluster-time.ts";
import type { ClusterTime } from "./record.ts";

/** The oldest and the newest entry of the oplog of the member that answers. */
export interface OplogWindow {
  readonly first: ClusterTime;
  readonly last: ClusterTime;
}

/** Unauthorized, and what Atlas answers for commands on `local`. */
const NOT_FOR_US = new Set([13, 8000]);

/** Undefined where the user may not read `local.oplog.rs`, or there is none (mongos). @throws MongotapError `connect` */
export async function readOplogWindow(client: MongoClient): Promise<OplogWindow | undefined> {
  try {
    const first = await endOfOplog(client, 1);
    const last = await endOfOplog(client, -1);
    return first === undefined || last === undefined ? undefined : { first, last };
  } catch (error) {
    const code = serverCodeOf(error);
    if (code !== undefined && NOT_FOR_US.has(code)) return undefined;
    throw toMongotapError(error, "cannot read the oplog");
  }
}

async function endOfOplog(client: MongoClient, direction: 1 | -1): Promise<ClusterTime | undefined> {
  const oplog = client.db("local").collection<Document>("oplog.rs");
  const entry = await oplog.findOne({}, { sort: { $natural: direction }, projection: { ts: 1 } });
  const ts: unknown = entry?.["ts"];
  return ts instanceof Timestamp ? clusterTimeOf(ts) : undefined;
}

/** The time of the server's last operation. @throws MongotapError `connect` */
export async function readServerTime(client: MongoClient): Promise<ClusterTime | undefined> {
  try {
    const reply = await client.db("admin").command({ ping: 1 });
    const time: unknown = reply["operationTime"];
    return time instanceof Timestamp ? clusterTimeOf(time) : undefined;
  } catch (error) {
    throw toMongotapError(error, "cannot ask the server for its time");
  }
}

/**
 * How much of the window lies between the position and now: 0 for a position at the newest entry, 1 for one at the
 * oldest, more than 1 when the history is lost.
 */
export function shareOfWindow(position: ClusterTime, { first, last }: OplogWindow): number {
  const window = secondsBetween(first, last);
  const age = secondsBetween(position, last);
  if (position < first) return Math.max(age / Math.max(window, 1), 1.01);
  return window === 0 ? 0 : Math.min(Math.max(age, 0) / window, 1);
}

export function secondsBetween(from: ClusterTime, to: ClusterTime): number {
  return Number.parseInt(to.slice(0, 8), 16) - Number.parseInt(from.slice(0, 8), 16);
}
