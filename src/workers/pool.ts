/** A pool of worker threads that read and encode sub-ranges. */

import { Worker } from "node:worker_threads";

import { MongotapError } from "../errors.ts";
import { settledWithin } from "../lib/async.ts";
import { whenGone } from "../lib/process.ts";
import type { SubRange, SubRangeReader } from "../source/sub-ranges.ts";
import type { Chunk } from "../source/record.ts";
import { WorkerDocuments } from "../source/reply-memory.ts";
import type { EncodedChunk, FromWorker, ToWorker, WorkerSettings } from "./messages.ts";

/** A thread encodes one sub-range while the server sends it another. */
const SUB_RANGES_PER_THREAD = 2;

/**
 * Reads and encodes sub-ranges in up to `size` threads; encodes the next chunk of a sub-range while the last one is being
 * written. Starts threads on demand. Disposing terminates them.
 */
export function createPool(settings: WorkerSettings, size: number): SubRangeReader & AsyncDisposable {
  const threads: Thread[] = [];
  const leastBusy = (): Thread => {
    const [best] = threads.toSorted((a, b) => a.subRanges - b.subRanges);
    if (best !== undefined && (best.subRanges === 0 || threads.length === size)) return best;
    const thread = new Thread(settings);
    threads.push(thread);
    return thread;
  };
  return {
    width: size * SUB_RANGES_PER_THREAD,
    read: (subRange, signal) => leastBusy().read(subRange, signal),
    async [Symbol.asyncDispose]() {
      await Promise.all(threads.map((thread) => thread.end()));
    },
  };
}

class Thread {
  readonly #worker: Worker;
  readonly #mailboxes = new Map<number, Mailbox>();
  #started = 0;
  #failure: MongotapError | undefined;

  constructor(settings: WorkerSettings) {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: settings });
    this.#worker.on("message", (message: FromWorker) => this.#mailboxes.get(message.id)?.put(message));
    whenGone(this.#worker, (reason) => this.#fail(reason));
  }

  get subRanges(): number {
    return this.#mailboxes.size;
  }

  read(subRange: SubRange, signal: AbortSignal): AsyncIterable<Chunk> {
    this.#started += 1;
    const id = this.#started;
    const mailbox = new Mailbox(this.#failure);
    this.#mailboxes.set(id, mailbox);
    return this.#chunks(id, subRange, mailbox, signal);
  }

  async *#chunks(id: number, subRange: SubRange, mailbox: Mailbox, signal: AbortSignal): AsyncGenerator<Chunk> {
    this.#post({ kind: "start", id, subRange });
    try {
      for (;;) {
        const message = await settledWithin(mailbox.next(), signal, 0);
        if (message.kind === "end") return;
        if (message.kind === "failed") {
          const { kind, message: text, hint, retryAfterMs } = message.failure;
          throw new MongotapError(kind, text, { hint, retryAfterMs });
        }
        this.#post({ kind: "next", id });
        yield chunkOf(message.chunk);
      }
    } finally {
      this.#post({ kind: "stop", id });
      this.#mailboxes.delete(id);
    }
  }

  async end(): Promise<void> {
    this.#worker.removeAllListeners();
    await this.#worker.terminate();
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #fail(reason: string): void {
    this.#failure ??= new MongotapError("bug", `a worker thread failed: ${reason}`);
    for (const mailbox of this.#mailboxes.values()) mailbox.fail(this.#failure);
  }
}

function chunkOf({ encoded, ...chunk }: EncodedChunk): Chunk {
  return { ...chunk, documents: new WorkerDocuments(encoded) };
}

/** A queue of the messages about one sub-range. */
class Mailbox {
  readonly #messages: FromWorker[] = [];
  #waiting: PromiseWithResolvers<void> = Promise.withResolvers();
  #failure: Error | undefined;

  constructor(failure: Error | undefined) {
    this.#failure = failure;
  }

  put(message: FromWorker): void {
    this.#messages.push(message);
    this.#waiting.resolve();
  }

  fail(error: Error): void {
    this.#failure = error;
    this.#waiting.resolve();
  }

  /** Resolves to the next message. Throws once the queue is empty and the thread has ended. */
  async next(): Promise<FromWorker> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#failure !== undefined) throw this.#failure;
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
    }
  }
}
