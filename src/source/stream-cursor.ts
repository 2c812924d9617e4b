/** The cursor of one change stream: how many events to request, and when. */

import { type ClientSession, Long, type MongoClient } from "mongodb";

import { type CommandOptions, type CommandReply, runCommand } from "../connect/run-command.ts";
import { eventLoopTurn } from "../lib/async.ts";
import { type CursorReply, parseCursorReply, peekCursor } from "./cursor-reply.ts";
import type { RawCommand } from "./raw-bson.ts";
import type { BsonDocuments } from "./record.ts";

/** Parsing and encoding a reply of this size takes long enough that the next one should be requested first. */
const LARGE_REPLY_BYTES = 256 * 1024;
/**
 * The target size of a reply. The server would fill 16 MB, but since it makes the next reply while this thread encodes one,
 * larger replies gain nothing and cost memory (docs/decisions/208-asking-ahead-for-events.md).
 */
const REPLY_BYTES = 4 * 1024 * 1024;
const FIRST_BATCH = 1_000;
const LEAST_BATCH = 100;

export interface StreamCursorSettings {
  readonly client: MongoClient;
  readonly db: string;
  /** The most events in a reply. */
  readonly batchSize: { readonly limit: number };
  readonly signal: AbortSignal;
}

/** Throws the driver's errors as they are, and the reason of the signal once that has aborted. */
export class StreamCursor implements AsyncDisposable {
  readonly #settings: StreamCursorSettings;
  readonly #session: ClientSession;
  #id = 0n;
  #collection = "";
  /** The most events in the next reply. */
  #batchSize = FIRST_BATCH;
  /** The next reply, if it was requested ahead. */
  #requested: Promise<CommandReply> | undefined;

  constructor(settings: StreamCursorSettings) {
    this.#settings = settings;
    this.#session = settings.client.startSession({ causalConsistency: false });
  }

  /** The server has closed the cursor: the stream has ended. */
  get isClosed(): boolean {
    return this.#id === 0n;
  }

  /** Runs the `aggregate`. May be called again after the stream has ended. */
  async open({ command, rawFields }: Required<RawCommand>): Promise<CursorReply> {
    const reply = parseCursorReply(await this.#run(command, { rawFields }));
    this.#id = reply.id;
    this.#collection = reply.collection;
    return reply;
  }

  /** Resolves to the next reply. The server waits up to `awaitMs` for an event. */
  async next(awaitMs: number): Promise<CursorReply> {
    const requested = this.#requested ?? this.#request(awaitMs);
    this.#requested = undefined;
    const raw = await requested;
    const { id, bytes } = peekCursor(raw);
    this.#id = id;
    if (!this.isClosed && bytes >= LARGE_REPLY_BYTES) await this.#requestAhead(awaitMs);
    const reply = parseCursorReply(raw);
    this.#adapt(reply.documents);
    return reply;
  }

  #request(awaitMs: number): Promise<CommandReply> {
    return this.#run({
      getMore: Long.fromBigInt(this.#id),
      collection: this.#collection,
      maxTimeMS: awaitMs,
      batchSize: Math.min(this.#batchSize, this.#settings.batchSize.limit),
    });
  }

  /** Lets the server, which makes the events of a stream in one thread, go on while this thread encodes a reply. */
  async #requestAhead(awaitMs: number): Promise<void> {
    this.#requested = this.#request(awaitMs);
    this.#requested.catch(() => undefined); // the next call awaits it, if there is one
    await eventLoopTurn(); // the command is on the wire now
  }

  /** Sets the batch size by the average size of the last events. */
  #adapt({ count, byteLength }: BsonDocuments): void {
    if (count === 0) return;
    this.#batchSize = Math.max(LEAST_BATCH, Math.ceil((REPLY_BYTES * count) / byteLength));
  }

  #run(command: Readonly<Record<string, unknown>>, options: CommandOptions = {}): Promise<CommandReply> {
    const { client, db, signal } = this.#settings;
    return runCommand(client, db, command, { ...options, session: this.#session, raw: true, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { client, db, signal } = this.#settings;
    if (!this.isClosed && !signal.aborted) {
      const killCursors = { killCursors: this.#collection, cursors: [Long.fromBigInt(this.#id)] };
      // Best effort: the server closes an idle cursor after ten minutes.
      await runCommand(client, db, killCursors, { session: this.#session }).catch(() => undefined);
    }
    await this.#requested?.catch(() => undefined); // its result is not needed
    await this.#session.endSession();
  }
}
