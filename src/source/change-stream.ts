/**
 * One change stream as raw replies: `aggregate` and `getMore` sent as commands, one EventBatch for each reply.
 * The driver's own ChangeStream is not used: it needs decoded events, closes on one that it cannot decode, and
 * re-opens once (docs/decisions/001-raw-commands.md).
 */

import type { MongoClient } from "mongodb";

import { ChangeEvent } from "../codec/change-event.ts";
import { toMongotapError } from "../connect/server-errors.ts";
import { MongotapError, must } from "../errors.ts";
import { type Binding, bindingText, isBound, nameToNamespace, streamTarget, type StreamTarget } from "./bindings.ts";
import { toText } from "./bson-key.ts";
import { BEGINNING, isoOf, later, tickBefore } from "./cluster-time.ts";
import type { CursorReply } from "./cursor-reply.ts";
import { findTerminalEvents } from "./invalidation.ts";
import { readServerTime } from "./server-time.ts";
import { checkNotFromTheFuture, checkTimeOfToken } from "./server-time.ts";
import { headOf, type EventTime, eventTimeOf, restOf, scanEvents } from "./event-batch.ts";
import type { BsonDocuments, ClusterTime, EventBatch, EventStream, StreamPosition } from "./record.ts";
import { isHighWater, tokenData, tokenTime } from "./resume-token.ts";
import { SplitEvents } from "./split-events.ts";
import { StreamCursor } from "./stream-cursor.ts";
import { aggregateCommand, filterBindings, resumeOf, type StreamShape, type StreamStart } from "./stream-command.ts";

export interface StreamSettings extends StreamShape {
  readonly client: MongoClient;
  /** Through mongos, an event at the time of a high-water mark may still come from another shard. */
  readonly sharded: boolean;
  /** The most events that a reply may hold. */
  readonly batchSize?: number | undefined;
}

/** What is fixed when a stream is opened. */
interface Opening {
  readonly settings: StreamSettings;
  readonly signal: AbortSignal;
  readonly from: StreamStart;
  /** What the server filters by: `settings.bindings`, and what an earlier run has dropped from them. */
  readonly filter: readonly Binding[];
  readonly scope: StreamTarget["scope"];
  readonly cursor: StreamCursor;
}

export class ChangeStream implements EventStream {
  readonly #opening: Opening;
  readonly #event = new ChangeEvent();
  readonly #splits = new SplitEvents();
  #position: StreamPosition;
  #highWater = false;
  /** The last reply was empty: at that moment the server had nothing left behind our token. */
  #drained = false;
  /** The token that the stream was opened with, or was given first. */
  readonly #opened: string;
  /** What the majority had, at the least, when the last reply came, and when it was asked for. */
  #committed: ClusterTime;
  #committedBefore: ClusterTime = BEGINNING;
  #ended: MongotapError | undefined;
  /** The invalidate behind which the stream of a collection is to be opened again, or was; see `#withoutInvalidate`. */
  #invalidate: string | undefined;
  /** One more reply is asked for before the run ends: the position shall stand behind the invalidate. */
  #invalidateDue = false;
  readonly startsAfter: ClusterTime;
  readonly serverTime: ClusterTime;

  private constructor(opening: Opening, reply: CursorReply, serverTime: ClusterTime | undefined) {
    this.#opening = opening;
    const before = resumeOf(opening.from);
    this.#position = before ?? { token: "", resume: "resumeAfter", time: BEGINNING, sequence: 0 };
    this.#committed = reply.operationTime ?? BEGINNING;
    this.serverTime = serverTime ?? this.#committed;
    this.#advance(reply, this.#position);
    this.startsAfter = later(this.#committed, this.#beginning());
    // A stream that starts behind an invalidate must be re-opened with startAfter until it has moved on.
    if (before && this.#position.token === before.token) this.#position = before;
    this.#opened = this.#position.token;
  }

  /**
   * Opens a stream; the first reply is empty and says where it stands.
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
    return this.#position;
  }

  /**
   * What lies before our token, and up to it if it is of an event, will not be told. That may be newer than what the
   * majority has: a new stream begins behind the server's own last operation, and its first token is a tick ahead of that.
   */
  #beginning(): ClusterTime {
    const { time } = this.#position;
    return this.#highWater ? tickBefore(time) : time;
  }

  /** See docs/decisions/003-passed.md. */
  hasPassed(time: ClusterTime): boolean {
    if (this.#ended) return false; // so that `next` is asked, and tells it
    if (this.#position.time !== time) return this.#position.time > time;
    if (this.#opening.settings.sharded) return false;
    if (!this.#highWater || this.#position.token !== this.#opened) return this.#highWater || this.#drained;
    // The first token of a new stream is one tick ahead of the last operation, and the majority may be even behind that:
    // an event of just that time may come, until the server was asked when the majority had that time.
    return this.#drained && this.#committedBefore >= time;
  }

  async next(awaitMs: number): Promise<EventBatch> {
    if (this.#ended && !this.#invalidateDue) throw this.#ended;
    this.#invalidateDue = false;
    try {
      if (this.#opening.cursor.isClosed) await this.#openAgain();
      const reply = await this.#opening.cursor.next(awaitMs);
      this.#committedBefore = this.#committed;
      this.#committed = later(this.#committed, reply.operationTime ?? BEGINNING);
      return this.#toBatch(reply);
    } catch (error) {
      this.#opening.signal.throwIfAborted();
      throw toMongotapError(error, "cannot read the change stream", { since: sinceOf(this.#position) });
    }
  }

  /** Behind the invalidate with which a collection that was dropped or renamed has ended its stream. */
  async #openAgain(): Promise<void> {
    const token = this.#invalidate;
    if (token === undefined) {
      throw new MongotapError("connect", "the server closed the change stream without saying why");
    }
    const { settings, filter, cursor } = this.#opening;
    const from: StreamPosition = { ...this.#position, token, resume: "startAfter" };
    await cursor.open(aggregateCommand({ ...settings, bindings: filter }, from));
  }

  #toBatch(reply: CursorReply): EventBatch {
    const { settings } = this.#opening;
    const before = this.#position;
    this.#drained = reply.documents.count === 0 && !this.#splits.isOpen;
    const joined = settings.splitLargeEvents ? this.#splits.join(reply.documents) : reply.documents;
    const documents = this.#withoutInvalidate(joined);
    const survey = scanEvents(this.#event, documents, before);
    const { sortKeys } = survey;
    const { ends, fatal } = findTerminalEvents(this.#event, documents, survey, settings.bindings);
    this.#ended ??= fatal?.error;
    this.#invalidateDue = fatal?.invalidateDue === true && this.#opening.scope !== "cluster";
    const all: EventBatch = {
      kind: "events",
      documents,
      sortKeys,
      ends,
      position: { collections: {}, stream: before },
    };
    const count = fatal?.count ?? sortKeys.length;
    // What the server's own token says of a reply is behind all that is in it.
    if (count < joined.count || this.#splits.isOpen) {
      const cut = count === 0 ? all : this.#headOf(all, count);
      this.#highWater = false;
      this.#position = must(cut.position.stream, "the position of a cut batch");
      return this.#wanted(cut);
    }
    const last = sortKeys.at(-1);
    this.#advance(reply, last === undefined ? before : eventTimeOf(last));
    if (fatal?.invalidated) this.#position = { ...this.#position, resume: "startAfter" };
    return this.#wanted({ ...all, position: { collections: {}, stream: this.#position } });
  }

  /**
   * Dropping or renaming a collection ends a stream that is opened on it; what comes later under its name is told by
   * another one, behind the invalidate. That is never saved: no stream of the whole database can begin there.
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

  /** Without the events that only the filter of an earlier run lets through. */
  #wanted(batch: EventBatch): EventBatch {
    const { filter, settings } = this.#opening;
    if (filter === settings.bindings || filter.length === settings.bindings.length) return batch;
    const { bytes, offsets } = batch.documents;
    const kept = offsets.map((offset) => {
      this.#event.read(bytes, offset);
      const name = this.#event.namespace;
      return name === "" || isBound(settings.bindings, nameToNamespace(name));
    });
    return {
      ...batch,
      documents: batch.documents.only(offsets.filter((_, i) => kept[i])),
      sortKeys: batch.sortKeys.filter((_, i) => kept[i]),
    };
  }

  /** Moves to the post-batch resume token, which may be far ahead of the last event, or stand alone. */
  #advance(reply: CursorReply, last: EventTime): void {
    const token = reply.postBatchResumeToken;
    if (!token) {
      throw new MongotapError(
        "unsupported",
        "the server sends no post-batch resume token, so a position cannot be kept",
        {
          hint: "MongoDB 5.0 or newer is needed.",
        },
      );
    }
    const data = tokenData(token);
    const time = tokenTime(data) ?? last.time;
    this.#highWater = isHighWater(data);
    const text = toText(token);
    if (text === this.#invalidate) return;
    this.#position = {
      token: text,
      resume: "resumeAfter",
      time,
      sequence: time === last.time ? last.sequence : 0,
      ...(this.#highWater ? {} : { filter: this.#opening.filter.map(bindingText) }),
    };
  }

  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    return [this.#headOf(batch, count), restOf(batch, count)];
  }

  #headOf(batch: EventBatch, count: number): EventBatch {
    return headOf(batch, count, this.#opening.filter.map(bindingText));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening.cursor[Symbol.asyncDispose]();
  }
}

/** Where the gap begins when the history is lost. */
function sinceOf(from: StreamStart): string {
  if (from === "now") return "this moment";
  if ("at" in from) return isoOf(from.at);
  return `the saved position of ${isoOf(from.time)}`;
}
