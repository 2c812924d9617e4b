/**
 * One change stream as raw replies: `aggregate` and `getMore` sent as commands, one EventBatch for each reply.
 * The driver's own ChangeStream is not used: it needs decoded events, closes on one that it cannot decode, and
 * re-opens once (docs/decisions/001-raw-commands.md).
 */

import type { MongoClient } from "mongodb";

import { ChangeEvent } from "../codec/change-event.ts";
import { type ErrorContext, ServerCode, serverCodeOf, toMongotapError } from "../connect/server-errors.ts";
import { MongotapError } from "../errors.ts";
import type { AdaptiveBatchSize } from "./adaptive-batch.ts";
import { BoundNames, streamTarget, type StreamTarget } from "./bindings.ts";
import { toText } from "./bson-key.ts";
import { isoOf } from "./cluster-time.ts";
import type { CursorReply } from "./cursor-reply.ts";
import { boundOnly, type EventScan, eventTimeOf, filterAt, splitEvents, scanEvents } from "./event-batch.ts";
import { findTerminalEvents } from "./invalidation.ts";
import type {
  Binding,
  BsonDocuments,
  ClusterTime,
  EventBatch,
  EventStream,
  SortKey,
  StreamPosition,
} from "./record.ts";
import { checkNotFromTheFuture, checkTimeOfToken, readServerTime } from "./replication.ts";
import { SplitEvents } from "./split-events.ts";
import {
  aggregateCommand,
  filterBindings,
  isTyped,
  resumeOf,
  type StreamShape,
  type StreamStart,
} from "./stream-command.ts";
import { StreamCursor, type StreamCursorSettings } from "./stream-cursor.ts";
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
  readonly batchSize: Pick<AdaptiveBatchSize, keyof AdaptiveBatchSize>;
  /** The stream goes on when a collection ends that is bound by its name. */
  readonly outlives?: boolean;
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
  readonly #bound: BoundNames;
  #progress: StreamProgress;
  #hasEvents = false;
  #ended: MongotapError | undefined;
  /** The token of the last withheld invalidate, behind which the stream is opened again; see `#withoutInvalidate`. */
  #invalidate: string | undefined;
  readonly startsAfter: ClusterTime;
  readonly serverTime: ClusterTime;

  private constructor(opening: Opening, reply: CursorReply, serverTime: ClusterTime | undefined) {
    this.#opening = opening;
    this.#bound = new BoundNames(opening.settings.bindings);
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
      if (resumed) checkNotFromTheFuture(resumed, newest, isTyped(from));
      if (isTyped(from))
        await checkTypedToken({ client, db, batchSize, signal }, { ...settings, bindings: filter }, from);
      return new ChangeStream({ settings, signal, from, filter, scope, cursor }, reply, newest);
    } catch (error) {
      await cursor[Symbol.asyncDispose]();
      signal.throwIfAborted();
      throw toMongotapError(error, "cannot open the change stream", {
        open: resumed !== undefined,
        typed: isTyped(from),
        since: sinceOf(from),
      });
    }
  }

  get position(): StreamPosition {
    return this.#progress.position;
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  hasPassed(time: ClusterTime): boolean {
    return hasPassed(this.#progress, time, this.#opening.settings);
  }

  async next(awaitMs: number): Promise<EventBatch> {
    if (this.#ended) throw this.#ended;
    const { cursor, settings, signal } = this.#opening;
    try {
      if (cursor.isClosed) await this.#openAgain();
      const reply = await cursor.next(awaitMs);
      settings.batchSize.onReply(reply.documents.count);
      this.#hasEvents ||= reply.documents.count > 0;
      return this.#toBatch(reply);
    } catch (error) {
      signal.throwIfAborted();
      if (serverCodeOf(error) === ServerCode.MaxTimeMSExpired) settings.batchSize.onTooSlow();
      throw toMongotapError(error, "cannot read the change stream", this.#errorContext());
    }
  }

  #errorContext(): ErrorContext {
    const { from } = this.#opening;
    // The server looks for the event of the token until it finds the first one behind it.
    return isTyped(from) && !this.#hasEvents
      ? { typed: true, since: sinceOf(from) }
      : { since: sinceOf(this.position) };
  }

  /** Behind the invalidate with which a collection or a database that was dropped has ended its own stream. */
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
    const { settings } = this.#opening;
    const empty = reply.documents.count === 0 && !this.#splits.isOpen;
    const joined = settings.splitLargeEvents ? this.#splits.join(reply.documents) : reply.documents;
    const filter = this.#filterBehind(joined, reply.postBatchResumeToken);
    const documents = this.#withoutInvalidate(joined);
    const scan = scanEvents(this.#event, documents, this.position);
    const { sortKeys, lacksDocuments } = scan;
    const { ends, fatal } = findTerminalEvents(this.#event, documents, scan, settings.bindings, settings.outlives);
    this.#ended ??= fatal?.error;
    const position = { collections: {}, stream: this.position };
    const changed = this.#boundOf(scan.namespaces);
    const all: EventBatch = { kind: "events", documents, sortKeys, lacksDocuments, ends, changed, position };
    const count = fatal?.count ?? sortKeys.length;
    // The server's own token is behind the whole reply: too far where only a part of it is taken.
    const isCut = count < joined.count || this.#splits.isOpen;
    const taken = isCut && count > 0 ? this.split(all, count)[0] : all;
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
    // The server's filter lets through what an earlier run had bound, and what the server itself builds in a database.
    const isBoundOnly = changed.size === scan.namespaces.size && scan.terminal.length === 0;
    return isBoundOnly ? batch : boundOnly(batch, settings.bindings);
  }

  /** The bindings that the token of a reply is saved with; of the last event alone if it is the token of that event. */
  #filterBehind({ bytes, offsets }: BsonDocuments, token: Uint8Array | undefined): readonly Binding[] {
    const { filter } = this.#opening;
    const last = offsets.at(-1);
    if (last === undefined || token === undefined) return filter;
    this.#event.read(bytes, last);
    const { begin, end } = this.#event.slots._id;
    return Buffer.compare(bytes.subarray(begin, end), token) === 0 ? filterAt(this.#event, filter) : filter;
  }

  #boundOf(namespaces: EventScan["namespaces"]): ReadonlyMap<string, SortKey> {
    const unbound = [...namespaces.keys()].filter((name) => !this.#bound.has(name));
    if (unbound.length === 0) return namespaces;
    return new Map([...namespaces].filter(([name]) => !unbound.includes(name)));
  }

  /**
   * Dropping or renaming a collection ends a stream on that collection with an invalidate, and dropping a database one on
   * that database. Later events come from another stream, opened behind the invalidate. No position is saved there: a
   * stream with a wider scope, which a later run may open, cannot resume behind an invalidate.
   */
  #withoutInvalidate(documents: BsonDocuments): BsonDocuments {
    const { bytes, offsets } = documents;
    const last = offsets.at(-1);
    if (last === undefined || this.#opening.scope === "cluster") return documents;
    this.#event.read(bytes, last);
    if (this.#event.operation !== "invalidate") return documents;
    const { begin, end } = this.#event.slots._id;
    this.#invalidate = toText(bytes.subarray(begin, end));
    return documents.only(offsets.slice(0, -1));
  }

  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    return splitEvents(batch, count, this.#opening.filter);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening.cursor[Symbol.asyncDispose]();
  }
}

/** How long (ms) the server may look for the event of a token that was typed, before the stream begins. */
const LOOK_FOR_TOKEN_MS = 200;

/**
 * Reads one event, so that a token of another stream is refused before a state is saved that has it. If nothing has
 * happened since the token, or the server needs longer, it cannot say so yet: then `next` reports it.
 */
async function checkTypedToken(settings: StreamCursorSettings, shape: StreamShape, from: StreamStart): Promise<void> {
  await using cursor = new StreamCursor({ ...settings, batchSize: { limit: 1 } });
  await cursor.open(aggregateCommand(shape, from));
  try {
    await cursor.next(LOOK_FOR_TOKEN_MS);
  } catch (error) {
    if (serverCodeOf(error) !== ServerCode.MaxTimeMSExpired) throw error;
  }
}

/** Since when changes are missing if the history is lost. */
function sinceOf(from: StreamStart): string {
  if (from === "now") return "this moment";
  if ("at" in from) return isoOf(from.at);
  if ("typed" in from) return `the token of --start-at, of ${isoOf(from.typed.time)}`;
  return `the saved position of ${isoOf(from.time)}`;
}
