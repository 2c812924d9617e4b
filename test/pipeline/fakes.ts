/** Small stand-ins for the interfaces that the pipeline is given: a source, a sink, an encoder, a stream, a collection. */
import type { RangeReadable } from "../../src/pipeline/backfill.ts";
import type { Encoder } from "../../src/protocol/protocol.ts";
import { EVERYTHING, outputKeyOf } from "../../src/lib/output-key.ts";
import type { OutputMark, Sink } from "../../src/sink/sink.ts";
import {
  type BsonDocuments,
  type Chunk,
  type ClusterTime,
  clusterTime,
  type EventBatch,
  type EventStream,
  incrementOf,
  type Position,
  type RangeProgress,
  type RowBatch,
  sortKey,
  sortKeyTime,
  type StreamPosition,
} from "../../src/source/record.ts";
import { ReplyDocuments, ReplyMemory } from "../../src/source/reply-memory.ts";

/** The n-th moment. */
export function time(n: number): ClusterTime {
  return clusterTime(0, n);
}

/** So many documents of one byte each. */
export function documentsOf(count: number): BsonDocuments {
  const memory = new ReplyMemory(new Uint8Array(count), true);
  return new ReplyDocuments(
    memory,
    Array.from({ length: count }, (_, i) => i),
  );
}

/** A position that is told apart by the time of its stream. */
export function at(n: number): Position {
  return { stream: streamAt(n), collections: {} };
}

function streamAt(n: number): StreamPosition {
  return { token: String(n), resume: "resumeAfter", time: time(n), sequence: 0 };
}

/** A batch of events at these moments; the position behind them is `end`, by default that of the last. */
export function events(moments: readonly number[], end = moments.at(-1) ?? 0): EventBatch {
  const sortKeys = moments.map((n) => sortKey(time(n), 1));
  return { kind: "events", documents: documentsOf(moments.length), sortKeys, position: at(end) };
}

/** A batch of rows; `position` absent: nobody could go on from here. */
export function rows(count: number, position: Position | undefined): RowBatch {
  return {
    kind: "rows",
    namespace: { db: "shop", collection: "c" },
    documents: documentsOf(count),
    at: time(0),
    position,
  };
}

/** One byte and one line for each document. */
export const lineEncoder: Encoder = {
  savepoint: () => () => undefined,
  omissions: () => ({
    deletes: 0,
    ends: 0,
    ended: new Set<string>(),
    updates: { mayBeNewer: 0, deleted: 0, unavailable: 0, notRequested: 0 },
    unknownEvents: new Map(),
    invalidUtf8: 0,
    badDocuments: 0,
    hiddenFields: new Map(),
    idsAlike: new Map(),
  }),
  takeNotes: () => ({ hiddenFields: [], idTypes: [] }),
  encode({ documents }) {
    const length = documents.count;
    const segments = length === 0 ? [] : [{ key: outputKeyOf("shop.c"), begin: 0, end: length, lines: length }];
    return { bytes: new Uint8Array(length), segments, lines: length };
  },
};

/** A sink that writes down what is asked of it, in words: `write 3`, `flush 3`. */
export class LoggingSink implements Sink {
  mayBlock = true;
  readonly #log: string[];
  #bytes = 0;
  /** Throws when the n-th write comes. */
  failAtWrite = Infinity;
  /** What was written has not been taken after all. */
  failsInBackground = false;
  #writes = 0;

  constructor(log: string[]) {
    this.#log = log;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#writes += 1;
    this.#log.push(`write ${bytes.length}`);
    if (this.#writes === this.failAtWrite) throw new Error("the disk is full");
    this.#bytes += bytes.length;
  }

  async written(): Promise<void> {
    if (this.failsInBackground) throw new Error("the disk is full");
  }

  async flush(): Promise<readonly OutputMark[]> {
    this.#log.push(`flush ${this.#bytes}`);
    const lines = this.#bytes;
    return [{ path: "/out", key: EVERYTHING, bytes: lines, lines, tailCrc: 0, inode: 0, finalized: false }];
  }

  async onStateSaved(): Promise<void> {}

  async finalize(): Promise<readonly OutputMark[]> {
    return await this.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A stream that answers with these replies, then with nothing new for ever. What it has answered, it has passed. */
export class ScriptedStream implements EventStream {
  readonly startsAfter: ClusterTime;
  readonly serverTime: ClusterTime;
  #position: StreamPosition;
  readonly #replies: EventBatch[];
  polls = 0;
  hasEnded = false;
  /** How long the server was to wait, each time (ms). */
  readonly patience: number[] = [];

  constructor(startsAfter: number, replies: readonly EventBatch[]) {
    this.startsAfter = time(startsAfter);
    this.serverTime = time(startsAfter);
    this.#position = streamAt(startsAfter);
    this.#replies = [...replies];
  }

  get position(): StreamPosition {
    return this.#position;
  }

  hasPassed(moment: ClusterTime): boolean {
    return this.#position.time >= moment;
  }

  async next(awaitMs = 0): Promise<EventBatch> {
    this.polls += 1;
    this.patience.push(awaitMs);
    if (this.polls > 1_000) throw new Error("asked a thousand times: the stream will never pass that");
    const reply = this.#replies.shift() ?? events([], Number.parseInt(this.#position.time, 16));
    this.#position = reply.position.stream ?? this.#position;
    return reply;
  }

  split({ sortKeys, ends = [] }: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    const moments = sortKeys.map((key) => incrementOf(sortKeyTime(key)));
    const part = (some: number[]): EventBatch => {
      const batch = events(some);
      return { ...batch, ends: ends.filter(({ sortKey }) => batch.sortKeys.includes(sortKey)) };
    };
    return [part(moments.slice(0, count)), part(moments.slice(count))];
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/**
 * A collection of `count` documents, read in chunks of two, however many are wanted; the n-th chunk is true at the n-th of
 * `moments`.
 */
export function collectionOf(
  name: string,
  count: number,
  moments: readonly number[] = [],
  uuid: string | null = name,
): RangeReadable {
  return {
    namespace: { db: "shop", collection: name },
    uuid,
    currentUuid: async () => uuid,
    head({ documents, progress, ...rest }, size) {
      const done = progress.documents - documents.count + size;
      return { ...rest, documents: documentsOf(size), progress: { documents: done, last: String(done), done: false } };
    },
    async *read(progress: RangeProgress, signal): AsyncGenerator<Chunk> {
      for (let done = progress.documents, chunk = Math.ceil(done / 2); ; chunk += 1) {
        signal.throwIfAborted();
        const size = Math.min(2, count - done);
        done += size;
        const next = { documents: done, last: String(done), done: size === 0 };
        yield {
          documents: documentsOf(size),
          at: time(moments[chunk] ?? moments.at(-1) ?? 0),
          exact: true,
          progress: next,
        };
        if (size === 0) return;
      }
    },
  };
}
