/** Opens the change stream of a tail or a capture. */

import type { Settings } from "../config/options.ts";
import type { StartAt } from "../config/value-schemas.ts";
import { type Connection, isAtLeast } from "../connect/client.ts";
import { MongotapError, must } from "../errors.ts";
import type { Logger } from "../observe/log.ts";
import type { TailSettings } from "../pipeline/tail.ts";
import { AdaptiveBatchSize } from "../source/adaptive-batch.ts";
import { type OversizeSettings, OversizeStream } from "../source/oversize-stream.ts";
import { isoOf } from "../source/cluster-time.ts";
import { LookupStream } from "../source/lookup-stream.ts";
import { type EventStream, nameOf, type StreamPosition } from "../source/record.ts";
import { readServerClock, startTimeOf, timeBefore } from "../source/replication.ts";
import {
  canSplit,
  checkServer,
  fullDocumentOf,
  resumeOf,
  startAfterToken,
  type StreamStart,
} from "../source/stream-command.ts";
import { unsentEvents } from "../source/unsent-events.ts";
import type { Invocation } from "./invocation.ts";
import type { Run } from "./copy.ts";

export type ChangeSettings = Pick<Settings, "fullDocument" | "before" | "until" | "onBadDocument">;

/** How long the server may hold an empty reply: the heartbeat of an idle stream. */
const AWAIT_MS = 1_000;

export interface StreamOptions {
  /** Where a new stream begins; default: now. */
  readonly startAt?: StartAt;
  /** The stream goes on when a collection ends that is bound by its name. */
  readonly outlives?: boolean;
  /** By `db.collection`, up to which position its changes have been sent, where that is behind where the stream begins. */
  readonly sentUpTo?: ReadonlyMap<string, StreamPosition>;
  /** Returns a stream that owns this one and leaves some of its events out. */
  readonly filter?: (stream: EventStream) => EventStream;
  /** Stages behind those that select the events. */
  readonly stages?: readonly Record<string, unknown>[];
}

/** @throws MongotapError `unsupported` when the server or one of the collections has no change stream */
export function streamSettings(
  opened: Pick<Run, "server" | "client" | "bindings" | "collections">,
  { settings, log }: Pick<Invocation<ChangeSettings>, "settings" | "log">,
  { startAt = { kind: "now" }, outlives = false, sentUpTo = new Map(), filter = (s) => s, stages }: StreamOptions = {},
): TailSettings {
  const { server, client, bindings, collections } = opened;
  checkServer(server);
  const named = new Set(bindings.map((binding) => `${binding.db}.${binding.collection ?? ""}`));
  for (const { type, namespace } of collections) {
    if (type === "collection") continue;
    const what = `${nameOf(namespace)} is a ${type === "view" ? "view" : "time series"}`;
    if (named.has(nameOf(namespace))) throw noStream(what);
    log.info(`${what} without a change stream: left out`);
  }
  const shape: OversizeSettings = {
    client,
    bindings,
    fullDocument: fullDocumentOf(settings.fullDocument, server, collections),
    beforeImages: settings.before === "auto" && isAtLeast(server, 6) && collections.some((info) => info.images),
    splitLargeEvents: canSplit(server),
    sharded: server.topology === "sharded",
    batchSize: new AdaptiveBatchSize(),
    outlives,
    ...(stages === undefined ? {} : { stages }),
    onPassedOver: settings.onBadDocument.policy === "fail" ? undefined : (reason) => log.warn(reason),
  };
  const start = startOf(client, startAt, log);
  const isCompleted = settings.fullDocument === "exact";
  return {
    async open(from, signal) {
      const all = await OversizeStream.open(shape, await start(from, signal), signal);
      const stream = filter(unsentEvents(all, sentUpTo));
      return isCompleted ? new LookupStream(stream, { client, signal }) : stream;
    },
    untilCaughtUp: settings.until !== undefined,
    awaitMs: AWAIT_MS,
  };
}

function noStream(what: string): MongotapError {
  return new MongotapError("unsupported", `${what}: it has no change stream`, { hint: "`backfill` can read it." });
}

type StartOf = (from: StreamPosition | undefined, signal: AbortSignal) => Promise<StreamStart>;

/** Where a stream begins that goes on from `from`, if that is a position. Decides once in a run what --start-at means. */
function startOf(client: Connection["client"], startAt: StartAt, log: Logger): StartOf {
  let start: StreamStart | undefined;
  return async (from, signal) => {
    // A typed token stays one until the stream has moved on.
    const isMoved = start === undefined || resumeOf(start)?.token !== from?.token;
    if (from !== undefined && isMoved) return from;
    start ??= await firstStart(client, startAt, signal, log);
    return start;
  };
}

/** @throws MongotapError `usage` for a time in the future */
async function firstStart(
  client: Connection["client"],
  startAt: StartAt,
  signal: AbortSignal,
  log: Logger,
): Promise<StreamStart> {
  if (startAt.kind === "now") return "now";
  if (startAt.kind === "token") return { typed: startAfterToken(startAt.data) };
  const clock = must(await readServerClock(client, signal), "the time of the server");
  if (startAt.kind === "time") return { at: startTimeOf(startAt.seconds, clock) };
  const at = timeBefore(clock, startAt.ms);
  log.info(`changes from ${isoOf(at)} on`);
  return { at };
}
