/** The replies of one change stream, as they come: how much is asked for, and when. */

import { type ClientSession, Long, type MongoClient } from "mongodb";

import { type CommandReply, runCommand } from "../connect/run-command.ts";
import { eventLoopTurn } from "../lib/async.ts";
import { type CursorReply, parseCursorReply, peekCursor } from "./cursor-reply.ts";
import type { BsonDocuments } from "./record.ts";

/** From here on a reply takes so long to take apart that the server should not wait for it (bytes). */
const LARGE = 256 * 1024;
/**
 * About what a reply shall have. The server would fill 16 MB of it, and as the next one is made while one is taken apart,
 * larger ones gain nothing and cost memory (docs/decisions/208-asking-ahead-for-events.md).
 */
const REPLY_BYTES = 4 * 1024 * 1024;
const FIRST_BATCH = 1_000;
const LEAST_BATCH = 100;

export interface StreamCursorSettings {
  readonly client: MongoClient;
  readonly db: string;
  /** The most events that a reply may hold. */
  readonly batchSize: { readonly limit: number };
  readonly signal: AbortSignal;
}

/** Rejects as the driver does. */
export class StreamCursor implements AsyncDisposable {
  readonly #settings: StreamCursorSettings;
  readonly #session: ClientSession;
  #id = 0n;
  #collection = "";
  /** How many events the next reply may hold. */
  #batchSize = FIRST_BATCH;
  /** The next reply, where it has been asked for before somebody wants it. */
  #asked: Promise<CommandReply> | undefined;

  constructor(settings: StreamCursorSettings) {
    this.#settings = settings;
    this.#session = settings.client.startSession({ causalConsistency: false });
  }

  /** The server has no more to say: the stream came to its end. */
  get isClosed(): boolean {
    return this.#id === 0n;
  }

  /** Sends the `aggregate`, once or, behind the end of a stream, again. */
  async open(aggregate: Readonly<Record<string, unknown>>): Promise<CursorReply> {
    const reply = parseCursorReply(await this.#run(aggregate));
    this.#id = reply.id;
    this.#collection = reply.collection;
    return reply;
  }

  /** The next reply; the server waits so long (ms) for something to tell. */
  async next(awaitMs: number): Promise<CursorReply> {
    const asked = this.#asked ?? this.#ask(awaitMs);
    this.#asked = undefined;
    const raw = await asked;
    const { id, bytes } = peekCursor(raw);
    this.#id = id;
    if (!this.isClosed && bytes >= LARGE) await this.#askAhead(awaitMs);
    const reply = parseCursorReply(raw);
    this.#adapt(reply.documents);
    return reply;
  }

  #ask(awaitMs: number): Promise<CommandReply> {
    return this.#run({
      getMore: Long.fromBigInt(this.#id),
      collection: this.#collection,
      maxTimeMS: awaitMs,
      batchSize: Math.min(this.#batchSize, this.#settings.batchSize.limit),
    });
  }

  /** The server makes the events of a stream in one thread: it goes on while this thread takes a reply apart. */
  async #askAhead(awaitMs: number): Promise<void> {
    this.#asked = this.#ask(awaitMs);
    this.#asked.catch(() => undefined); // it is awaited by the next call, or nobody wants it any more
    await eventLoopTurn(); // the command is on the wire now
  }

  /** Goes by what the last events weighed. */
  #adapt({ count, byteLength }: BsonDocuments): void {
    if (count === 0) return;
    this.#batchSize = Math.max(LEAST_BATCH, Math.ceil((REPLY_BYTES * count) / byteLength));
  }

  #run(command: Readonly<Record<string, unknown>>): Promise<CommandReply> {
    const { client, db, signal } = this.#settings;
    return runCommand(client, db, command, { session: this.#session, raw: true, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { client, db, signal } = this.#settings;
    if (!this.isClosed && !signal.aborted) {
      const killCursors = { killCursors: this.#collection, cursors: [Long.fromBigInt(this.#id)] };
      // Best effort: a cursor left behind costs the server ten minutes of a little memory.
      await runCommand(client, db, killCursors, { session: this.#session }).catch(() => undefined);
    }
    await this.#asked?.catch(() => undefined); // nobody wants it any more
    await this.#session.endSession();
  }
}
