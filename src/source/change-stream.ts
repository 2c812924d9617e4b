/**
 * One change stream as raw replies: `aggregate` and `getMore` sent as commands, one EventBatch for each reply.
 * The driver's own ChangeStream is not used: it needs decoded events, closes on one that it cannot decode, and
 * re-opens once (docs/decisions/001-raw-commands.md).
 */

import type { ClientSession, MongoClient } from "mongodb";
import { Long } from "mongodb";

import { ChangeEvent } from "../codec/change-event.ts";
import { explain } from "../connect/server-errors.ts";
import { MongotapError, must } from "../errors.ts";
import type { Binding } from "./bindings.ts";
import { matchStages, onlyDatabase } from "./bindings.ts";
import { toText, toValue } from "./bson-key.ts";
import { BEGINNING, readClusterTime, tickAfter, timestampOf } from "./cluster-time.ts";
import { type CursorReply, parseCursorReply, type RawReply } from "./cursor-reply.ts";
import { findEnd } from "./ending.ts";
import type { ClusterTime, Documents, EventBatch, EventStream, StreamPosition } from "./record.ts";
import { isHighWater, tokenData, tokenTime } from "./resume-token.ts";

export interface StreamSettings {
  readonly client: MongoClient;
  readonly bindings: readonly Binding[];
  /** Ask for the document before each change, where the collection keeps it (6.0). */
  readonly beforeImages: boolean;
  /** Through mongos, an event at the time of a high-water mark may still come from another shard. */
  readonly sharded: boolean;
  readonly batchSize?: number;
}

/** Where a stream begins: behind a token, or at a time (inclusive), or now. */
export type StreamStart = StreamPosition | { readonly at: ClusterTime } | "now";

/** @internal the state of an open cursor */
interface OpenCursor {
  id: bigint;
  collection: string;
}

export class ChangeStream implements EventStream {
  readonly #settings: StreamSettings;
  readonly #session: ClientSession;
  readonly #signal: AbortSignal;
  readonly #event = new ChangeEvent();
  #cursor: OpenCursor = { id: 0n, collection: "" };
  #position: StreamPosition;
  #highWater = false;
  /** The last reply was empty: at that moment the server had nothing left behind our token. */
  #drained = false;
  #ended: MongotapError | undefined;
  /** The server's last operation when the stream was opened. */
  readonly openedAt: ClusterTime;

  private constructor(settings: StreamSettings, session: ClientSession, signal: AbortSignal, reply: CursorReply, from: StreamStart) {
    this.#settings = settings;
    this.#session = session;
    this.#signal = signal;
    this.#cursor = { id: reply.id, collection: reply.collection };
    const before = typeof from === "object" && "token" in from ? from : undefined;
    this.#position = before ?? { token: "", resume: "resumeAfter", time: BEGINNING, sequence: 0 };
    this.openedAt = reply.operationTime ?? BEGINNING;
    this.#advance(reply, this.#position);
    // A stream that starts behind an invalidate must be re-opened with startAfter until it has moved on.
    if (before && this.#position.token === before.token) this.#position = before;
    // The first token of a new stream is one tick ahead of the last operation: an event of just that time may come.
    this.#highWater = false;
  }

  /**
   * Opens a stream; the first reply is empty and says where it stands.
   * @throws MongotapError `history-lost`, `state` (token refused), `unsupported`, `auth`, `connect`
   */
  static async open(settings: StreamSettings, from: StreamStart, signal: AbortSignal): Promise<ChangeStream> {
    const session = settings.client.startSession({ causalConsistency: false });
    const carriesToken = typeof from === "object" && "token" in from;
    try {
      const reply = await runCommand(settings, session, signal, aggregateCommand(settings, from));
      if (carriesToken) checkNotFromTheFuture(from, reply);
      return new ChangeStream(settings, session, signal, reply, from);
    } catch (error) {
      await session.endSession();
      signal.throwIfAborted();
      throw explain(error, "cannot open the change stream", carriesToken ? "open" : "read");
    }
  }

  get position(): StreamPosition {
    return this.#position;
  }

  /** Whether every event up to and including `time` has been returned (docs/decisions/003-passed.md). */
  hasPassed(time: ClusterTime): boolean {
    if (this.#position.time !== time) return this.#position.time > time;
    return (this.#highWater || this.#drained) && !this.#settings.sharded;
  }

  /**
   * The next reply; without events after at most `awaitMs`, and then only news about the position.
   * @throws MongotapError `ended` once the events before the end of a watched collection have been returned; others as `open`
   */
  async next(awaitMs: number): Promise<EventBatch> {
    if (this.#ended) throw this.#ended;
    if (this.#cursor.id === 0n) throw new MongotapError("connect", "the server closed the change stream without saying why");
    const { batchSize } = this.#settings;
    const getMore: Record<string, unknown> = {
      getMore: Long.fromBigInt(this.#cursor.id),
      collection: this.#cursor.collection,
      maxTimeMS: awaitMs,
    };
    if (batchSize !== undefined) getMore["batchSize"] = batchSize;
    try {
      const reply = await runCommand(this.#settings, this.#session, this.#signal, getMore);
      this.#cursor.id = reply.id;
      return this.#toBatch(reply);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw explain(error, "cannot read the change stream");
    }
  }

  #toBatch(reply: CursorReply): EventBatch {
    const before = this.#position;
    const { bytes, offsets } = reply.documents;
    this.#drained = offsets.length === 0;
    const orders = this.#ordersOf(reply.documents);
    const end = findEnd(this.#event, reply.documents, this.#settings.bindings);
    this.#ended = end?.error;
    if (!end || end.count === offsets.length) {
      this.#advance(reply, before, orders.at(-1));
      if (end?.invalidated) this.#position = { ...this.#position, resume: "startAfter" };
      return { kind: "events", documents: reply.documents, orders, position: { collections: {}, stream: this.#position } };
    }
    const whole: EventBatch = { kind: "events", documents: { bytes, offsets }, orders, position: { collections: {} } };
    const cut = headOf(whole, end.count);
    this.#position = must(cut.position.stream, "the position of a cut batch");
    return cut;
  }

  /** Time and count within that time, for each event. */
  #ordersOf({ bytes, offsets }: Documents): string[] {
    let { time, sequence } = this.#position;
    const orders: string[] = [];
    for (const offset of offsets) {
      this.#event.read(bytes, offset);
      const { clusterTime } = this.#event.slots;
      const at = clusterTime.type === 0 ? time : readClusterTime(bytes, clusterTime.begin);
      sequence = at === time ? sequence + 1 : 1;
      time = at;
      orders.push(orderOf(time, sequence));
    }
    return orders;
  }

  /** Moves to the post-batch resume token, which may be far ahead of the last event, or stand alone. */
  #advance(reply: CursorReply, before: StreamPosition, lastOrder?: string): void {
    const token = reply.postBatchResumeToken;
    if (!token) {
      throw new MongotapError("unsupported", "the server sends no post-batch resume token, so a position cannot be kept", {
        hint: "MongoDB 5.0 or newer is needed.",
      });
    }
    const data = tokenData(token);
    const last = lastOrder === undefined ? before : { time: lastOrder.slice(0, 16), sequence: Number.parseInt(lastOrder.slice(16), 16) };
    const time = tokenTime(data) ?? last.time;
    this.#highWater = isHighWater(data);
    this.#position = { token: toText(token), resume: "resumeAfter", time, sequence: time === last.time ? last.sequence : 0 };
  }

  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    return [headOf(batch, count), restOf(batch, count)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#cursor.id !== 0n && !this.#signal.aborted) {
      const db = onlyDatabase(this.#settings.bindings) ?? "admin";
      const killCursors = { killCursors: this.#cursor.collection, cursors: [Long.fromBigInt(this.#cursor.id)] };
      // Best effort: a cursor left behind costs the server ten minutes of a little memory.
      await this.#settings.client.db(db).command(killCursors, { session: this.#session }).catch(() => undefined);
    }
    await this.#session.endSession();
  }
}

/** Sorts by commit order: 16 hex digits of cluster time, 8 of the count within that time. */
function orderOf(time: ClusterTime, sequence: number): string {
  return time + sequence.toString(16).padStart(8, "0");
}

/** The first `count` events of a batch as a batch of their own, with the position behind the last of them. */
function headOf(batch: EventBatch, count: number): EventBatch {
  const { bytes, offsets } = batch.documents;
  const last = count - 1;
  const event = new ChangeEvent();
  event.read(bytes, must(offsets[last], "the last event of the cut"));
  const order = must(batch.orders[last], "its order");
  const { begin, end } = event.slots._id;
  const stream: StreamPosition = {
    token: toText(bytes.subarray(begin, end)),
    resume: event.operation === "invalidate" ? "startAfter" : "resumeAfter",
    time: order.slice(0, 16),
    sequence: Number.parseInt(order.slice(16), 16),
  };
  return {
    kind: "events",
    documents: { bytes, offsets: offsets.slice(0, count) },
    orders: batch.orders.slice(0, count),
    position: { ...batch.position, stream },
  };
}

/** The events behind the first `count`. */
function restOf(batch: EventBatch, count: number): EventBatch {
  const { bytes, offsets } = batch.documents;
  return { ...batch, documents: { bytes, offsets: offsets.slice(count) }, orders: batch.orders.slice(count) };
}

function aggregateCommand(settings: StreamSettings, from: StreamStart): Record<string, unknown> {
  const stage: Record<string, unknown> = { fullDocument: "updateLookup" };
  if (onlyDatabase(settings.bindings) === undefined) stage["allChangesForCluster"] = true;
  if (settings.beforeImages) stage["fullDocumentBeforeChange"] = "whenAvailable";
  if (from !== "now") {
    if ("at" in from) stage["startAtOperationTime"] = timestampOf(from.at);
    else stage[from.resume] = toValue(from.token);
  }
  return {
    aggregate: 1,
    pipeline: [{ $changeStream: stage }, ...matchStages(settings.bindings)],
    cursor: { batchSize: 0 },
    readConcern: { level: "majority" },
    // Never the collection's own: with a case-insensitive one the filter would also match other names.
    collation: { locale: "simple" },
    comment: "mongotap",
  };
}

async function runCommand(settings: StreamSettings, session: ClientSession, signal: AbortSignal, command: Record<string, unknown>): Promise<CursorReply> {
  signal.throwIfAborted();
  const db = settings.client.db(onlyDatabase(settings.bindings) ?? "admin");
  return parseCursorReply((await db.command(command, { session, raw: true, signal })) as RawReply);
}

/** A token ahead of the server's clock is accepted and then waits for ever: another cluster, or one set back in time. */
function checkNotFromTheFuture(from: StreamPosition, reply: CursorReply): void {
  if (reply.operationTime === undefined || from.time <= tickAfter(reply.operationTime)) return;
  throw new MongotapError("state", "the saved position is ahead of the server's own time: it is of another cluster, or this one was set back", {
    hint: "Connect to the cluster that the state was made with, or start over with --fresh.",
  });
}
