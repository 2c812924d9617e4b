/**
 * One change stream as raw replies: `aggregate` and `getMore` sent as commands, one EventBatch for each reply.
 * The driver's own ChangeStream is not used: it needs decoded events, closes on one that it cannot decode, and
 * re-opens once (docs/decisions/001-raw-commands.md).
 */

import type { MongoClient } from "mongodb";

import { ChangeEvent } from "../codec/change-event.ts";
import { ServerCode, serverCodeOf, toMongotapError } from "../connect/server-errors.ts";
import { MongotapError } from "../errors.ts";
import type { AdaptiveBatchSize } from "./adaptive-batch.ts";
import { streamTarget, type StreamTarget } from "./bindings.ts";
import { toText } from "./bson-key.ts";
import { isoOf } from "./cluster-time.ts";
import type { CursorReply } from "./cursor-reply.ts";
import { boundOnly, eventTimeOf, headOf, restOf, scanEvents } from "./event-batch.ts";
import { findTerminalEvents } from "./invalidation.ts";
import type { Binding, BsonDocuments, ClusterTime, EventBatch, EventStream, StreamPosition } from "./record.ts";
import { checkNotFromTheFuture, checkTimeOfToken, readServerTime } from "./replication.ts";
import { SplitEvents } from "./split-events.ts";
import { aggregateCommand, filterBindings, resumeOf, type StreamShape, type StreamStart } from "./stream-command.ts";
import { StreamCursor } from "./stream-cursor.ts";
import {
  advance,
  beginProgress,
  hasPassed,
  type ReplyFacts,
  startsAfter,
  type StreamProgress,
} from "./stream-progress.ts";

export interface StreamSettings extends StreamShape {
  readonly client: MongoClient;
  readonly sharded: boolean;
  /** How many events a reply may hold; shared by streams that are opened one after the other. */
  readonly batchSize: AdaptiveBatchSize;
}

/** What is fixed when a stream is opened. */
interface Opening {
  readonly settings: StreamSettings;
  readonly signal: AbortSignal;
  readonly from: StreamStart;
  /** What the server filters by: `settings.bindings`, and those of an earlier run that have been dropped since. */
  readonly filter: readonly Binding[];
  readonly scope: StreamTarget["scope"];
  readonly cursor: StreamCursor;
}

export class ChangeStream implements EventStream {
  readonly #opening: Opening;
  readonly #event = new ChangeEvent();
  readonly #splits = new SplitEvents();
  #progress: StreamProgress;
  #ended: MongotapError | undefined;
  /** The token of the last withheld invalidate, behind which the stream is opened again; see `#withoutInvalidate`. */
  #invalidate: string | undefined;
  /** The stream has ended, but one more reply is read: the position must be behind the invalidate that follows. */
  #invalidateDue = false;
  readonly startsAfter: ClusterTime;
  readonly serverTime: ClusterTime;

  private constructor(opening: Opening, reply: CursorReply, serverTime: ClusterTime | undefined) {
    this.#opening = opening;
    const { from, filter } = opening;
    const { postBatchResumeToken: token, operationTime } = reply;
    this.#progress = beginProgress({ token, operationTime, filter }, resumeOf(from));
    this.serverTime = serverTime ?? this.#progress.committed;
    this.startsAfter = startsAfter(this.#progress);
  }

  /**
   * Opens a stream. The first reply holds no event: it says where the stream begins.
   * @throws MongotapError `history-lost`, `state` (token refused), `unsupported`, `auth`, `connect`
   */
  static async open(settings: StreamSettings, from: StreamStart, signal: AbortSignal): Promise<ChangeStream> {
    const { client, batchSize } = settings;
    const filter = filterBindings(settings.bindings, from);
    const { scope, db } = streamTarget(filter);
    const cursor = new StreamCursor({ client, db, batchSize, signal });
    const resumed = resumeOf(from);
    try {
      if (resumed) checkTimeOfToken(resumed);
      const reply = await cursor.open(aggregateCommand({ ...settings, bindings: filter }, from));
      const newest = await readServerTime(settings.client);
      if (resumed) checkNotFromTheFuture(resumed, newest);
      return new ChangeStream({ settings, signal, from, filter, scope, cursor }, reply, newest);
    } catch (error) {
      await cursor[Symbol.asyncDispose]();
      signal.throwIfAborted();
      throw toMongotapError(error, "cannot open the change stream", {
        open: resumed !== undefined,
        since: sinceOf(from),
      });
    }
  }

  get position(): StreamPosition {
    return this.#progress.position;
  }

  hasPassed(time: ClusterTime): boolean {
    return hasPassed(this.#progress, time, this.#opening.settings);
  }

  async next(awaitMs: number): Promise<EventBatch> {
    if (this.#ended && !this.#invalidateDue) throw this.#ended;
    this.#invalidateDue = false;
    const { cursor, settings, signal } = this.#opening;
    try {
      if (cursor.isClosed) await this.#openAgain();
      const reply = await cursor.next(awaitMs);
      settings.batchSize.onReply(reply.documents.count);
      return this.#toBatch(reply);
    } catch (error) {
      signal.throwIfAborted();
      if (serverCodeOf(error) === ServerCode.MaxTimeMSExpired) settings.batchSize.onTooSlow();
      throw toMongotapError(error, "cannot read the change stream", { since: sinceOf(this.position) });
    }
  }

  /** Behind the invalidate with which a dropped or renamed collection has ended its own stream. */
  async #openAgain(): Promise<void> {
    const token = this.#invalidate;
    if (token === undefined) {
      throw new MongotapError("connect", "the server closed the change stream without saying why");
    }
    const { settings, filter, cursor } = this.#opening;
    const from: StreamPosition = { ...this.position, token, resume: "startAfter" };
    await cursor.open(aggregateCommand({ ...settings, bindings: filter }, from));
  }

  #toBatch(reply: CursorReply): EventBatch {
    const { settings, filter, scope } = this.#opening;
    const empty = reply.documents.count === 0 && !this.#splits.isOpen;
    const joined = settings.splitLargeEvents ? this.#splits.join(reply.documents) : reply.documents;
    const documents = this.#withoutInvalidate(joined);
    const scan = scanEvents(this.#event, documents, this.position);
    const { sortKeys, lacksDocuments } = scan;
    const { ends, fatal } = findTerminalEvents(this.#event, documents, scan, settings.bindings);
    this.#ended ??= fatal?.error;
    this.#invalidateDue = fatal?.invalidateDue === true && scope !== "cluster";
    const position = { collections: {}, stream: this.position };
    const all: EventBatch = { kind: "events", documents, sortKeys, lacksDocuments, ends, position };
    const count = fatal?.count ?? sortKeys.length;
    // The server's own token is behind the whole reply: too far where only a part of it is taken.
    const isCut = count < joined.count || this.#splits.isOpen;
    const taken = isCut && count > 0 ? this.#headOf(all, count) : all;
    const last = sortKeys.at(-1);
    const facts: ReplyFacts = {
      token: reply.postBatchResumeToken,
      operationTime: reply.operationTime,
      empty,
      takenTo: isCut ? taken.position.stream : undefined,
      invalidated: fatal?.invalidated === true,
      withheld: this.#invalidate,
      ended: this.#ended !== undefined,
      filter,
    };
    this.#progress = advance(this.#progress, facts, last === undefined ? undefined : eventTimeOf(last));
    const batch: EventBatch = { ...taken, position: { collections: {}, stream: this.position } };
    // The bindings that an earlier run has dropped since are in the filter as well.
    return filter.length === settings.bindings.length ? batch : boundOnly(batch, settings.bindings);
  }

  /**
   * Dropping or renaming a collection ends a stream on that collection with an invalidate. Later events under its name
   * come from another stream, opened behind the invalidate. No position is saved there: a stream on the database, which
   * a later run may open, cannot resume behind an invalidate.
   */
  #withoutInvalidate(documents: BsonDocuments): BsonDocuments {
    const { bytes, offsets } = documents;
    const last = offsets.at(-1);
    if (last === undefined || this.#opening.scope !== "collection") return documents;
    this.#event.read(bytes, last);
    if (this.#event.operation !== "invalidate") return documents;
    const { begin, end } = this.#event.slots._id;
    this.#invalidate = toText(bytes.subarray(begin, end));
    return documents.only(offsets.slice(0, -1));
  }

  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    return [this.#headOf(batch, count), restOf(batch, count)];
  }

  #headOf(batch: EventBatch, count: number): EventBatch {
    return headOf(batch, count, this.#opening.filter);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening.cursor[Symbol.asyncDispose]();
  }
}

/** Since when changes are missing if the history is lost. */
function sinceOf(from: StreamStart): string {
  if (from === "now") return "this moment";
  if ("at" in from) return isoOf(from.at);
  return `the saved position of ${isoOf(from.time)}`;
}
