/** Reads the server's times (last operation, oplog window, lag of the majority) and checks saved positions against them. */

import { type Document, type MongoClient, Timestamp } from "mongodb";
import { runCommand } from "../connect/run-command.ts";
import { ServerCode, serverCodeOf, toMongotapError, TYPED_TOKEN_HINT } from "../connect/server-errors.ts";
import { clusterTimeOf, firstTimeOf, isoOf, operationTimeOf, tickAfter } from "./cluster-time.ts";
import { type ClusterTime, secondsOf, type StreamPosition } from "./record.ts";
import { MongotapError } from "../errors.ts";
import { tokenData, tokenTime } from "./resume-token.ts";

/**
 * How far the majority is behind the primary, in ms (whole seconds, by the primary's clock). Undefined for standalone
 * servers and mongos, which do not report it, and if the command fails. Every user may run it.
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
    return undefined; // the next read fails too, and reports the error
  }
}

/** The oldest and the newest entry of the oplog of the member that answers. */
export interface OplogWindow {
  readonly first: ClusterTime;
  readonly last: ClusterTime;
}

/** Undefined if the user may not read `local.oplog.rs`, or there is no oplog (mongos). @throws MongotapError `connect` */
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

/** The time of the server's last operation; undefined for standalone servers. @throws MongotapError `connect` */
export async function readServerTime(client: MongoClient): Promise<ClusterTime | undefined> {
  const reply = await runCommand(client, "admin", { ping: 1 }, { what: "cannot ask the server for its time" });
  return operationTimeOf(reply);
}

export interface ServerClock {
  /** The time of the server's last operation. */
  readonly newest: ClusterTime;
  /** The server's own clock, in whole seconds since 1970: an idle server's last operation is some seconds behind it. */
  readonly seconds: number;
}

/** Undefined for standalone servers. @throws MongotapError `connect` */
export async function readServerClock(client: MongoClient, signal: AbortSignal): Promise<ServerClock | undefined> {
  const what = "cannot ask the server for its time";
  const reply = await runCommand(client, "admin", { hello: 1 }, { signal, what });
  const newest = operationTimeOf(reply);
  if (newest === undefined) return undefined;
  const { localTime } = reply;
  const seconds = localTime instanceof Date ? Math.floor(localTime.getTime() / 1000) : 0;
  return { newest, seconds: Math.max(seconds, secondsOf(newest)) };
}

/**
 * The cluster time at which a stream begins that was asked for from second `seconds` on. The last operation of an idle
 * server may be older than that second, and a position ahead of it would look like one of another cluster: such a stream
 * begins behind that operation, since the next one has the time of the server's clock.
 * @throws MongotapError `usage` if that second is ahead of the server's clock
 */
export function startTimeOf(seconds: number, { newest, seconds: now }: ServerClock): ClusterTime {
  const at = firstTimeOf(seconds);
  const next = tickAfter(newest);
  if (at <= next) return at;
  if (seconds <= now) return next;
  throw new MongotapError(
    "usage",
    `--start-at ${isoOf(at)} is in the future: the server's time is ${isoOf(firstTimeOf(now))}`,
    { hint: "Correct the time, or leave --start-at out to begin now." },
  );
}

/** The cluster time `ms` milliseconds before the server's last operation, to the second. */
export function timeBefore({ newest }: ServerClock, ms: number): ClusterTime {
  return firstTimeOf(Math.max(1, Math.floor(secondsOf(newest) - ms / 1000)));
}

/**
 * The share of the oplog window that is newer than the position: 0 for a position at the newest entry, 1 for one at the
 * oldest entry, above 1 if the history is lost.
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

/**
 * The saved time is compared with the server's, but the server resumes by the token: both must be of the same time.
 * @throws MongotapError `state` if they are not
 */
export function checkTimeOfToken({ token, time }: StreamPosition): void {
  const own = tokenTime(tokenData(Buffer.from(token, "base64")));
  if (own === undefined || own === time) return;
  throw new MongotapError(
    "state",
    `the saved position is damaged: its token is of ${isoOf(own)}, not of ${isoOf(time)}`,
  );
}

/**
 * The server accepts a token ahead of its own time and then waits for ever; the token is of another cluster, or this one
 * was set back. `newest` is the server's own last operation: the majority may fall behind the token in an election.
 * @throws MongotapError `state` if the token is ahead; `usage` if a user has typed it
 */
export function checkNotFromTheFuture(from: StreamPosition, newest: ClusterTime | undefined, typed: boolean): void {
  if (newest === undefined || from.time <= tickAfter(newest)) return;
  if (typed) {
    throw new MongotapError(
      "usage",
      `--start-at: the token is of ${isoOf(from.time)}, ahead of the server's own time, ${isoOf(newest)}: it is of another cluster, or this one was set back`,
      { hint: TYPED_TOKEN_HINT },
    );
  }
  throw new MongotapError(
    "state",
    "the saved position is ahead of the server's own time: it is of another cluster, or this one was set back",
    {
      hint: "Connect to the cluster that the state was made with, or start over with --fresh.",
    },
  );
}
