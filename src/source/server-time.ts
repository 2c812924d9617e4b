/** The server's times: its last operation, its oplog window, the lag of its majority; and whether a saved position fits them. */

import { type Document, type MongoClient, Timestamp } from "mongodb";
import { runCommand } from "../connect/run-command.ts";
import { ServerCode } from "../connect/server-codes.ts";
import { serverCodeOf, toMongotapError } from "../connect/server-errors.ts";
import { clusterTimeOf, isoOf, tickAfter } from "./cluster-time.ts";
import { type ClusterTime, secondsOf, type StreamPosition } from "./record.ts";
import { MongotapError } from "../errors.ts";
import { tokenData, tokenTime } from "./resume-token.ts";

/**
 * In ms, by the clock of the primary, in whole seconds; undefined where the server does not tell: every user may ask, but
 * standalone servers and routers have no such thing. Undefined as well when it cannot be asked just now.
 * https://www.mongodb.com/docs/manual/reference/command/hello/#mongodb-data-hello.lastWrite
 */
export async function majorityLagMs(client: MongoClient, signal: AbortSignal): Promise<number | undefined> {
  try {
    const reply = await runCommand(client, "admin", { hello: 1 }, { signal });
    const { lastWriteDate, majorityWriteDate } = (reply["lastWrite"] ?? {}) as Readonly<Record<string, unknown>>;
    if (!(lastWriteDate instanceof Date) || !(majorityWriteDate instanceof Date)) return undefined;
    return lastWriteDate.getTime() - majorityWriteDate.getTime();
  } catch {
    signal.throwIfAborted();
    return undefined; // what is wrong is told by the read that comes next
  }
}

/** The oldest and the newest entry of the oplog of the member that answers. */
export interface OplogWindow {
  readonly first: ClusterTime;
  readonly last: ClusterTime;
}

/** Undefined where the user may not read `local.oplog.rs`, or there is none (mongos). @throws MongotapError `connect` */
export async function readOplogWindow(client: MongoClient): Promise<OplogWindow | undefined> {
  try {
    const first = await endOfOplog(client, 1);
    const last = await endOfOplog(client, -1);
    return first === undefined || last === undefined ? undefined : { first, last };
  } catch (error) {
    const code = serverCodeOf(error);
    if (code === ServerCode.Unauthorized || code === ServerCode.AtlasError) return undefined;
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
  const reply = await runCommand(client, "admin", { ping: 1 }, { what: "cannot ask the server for its time" });
  const time = reply["operationTime"];
  return time instanceof Timestamp ? clusterTimeOf(time) : undefined;
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
  return secondsOf(to) - secondsOf(from);
}

/** The time is what is compared with the server's, so it has to be that of the token which the server is sent. */
export function checkTimeOfToken({ token, time }: StreamPosition): void {
  const own = tokenTime(tokenData(Buffer.from(token, "base64")));
  if (own === undefined || own === time) return;
  throw new MongotapError(
    "state",
    `the saved position is damaged: its token is of ${isoOf(own)}, not of ${isoOf(time)}`,
  );
}

/**
 * A token ahead of the server's clock is accepted and then waits for ever: another cluster, or one set back in time.
 * `newest` is the server's own last operation: what the majority has may fall behind the token in an election.
 */
export function checkNotFromTheFuture(from: StreamPosition, newest: ClusterTime | undefined): void {
  if (newest === undefined || from.time <= tickAfter(newest)) return;
  throw new MongotapError(
    "state",
    "the saved position is ahead of the server's own time: it is of another cluster, or this one was set back",
    {
      hint: "Connect to the cluster that the state was made with, or start over with --fresh.",
    },
  );
}
