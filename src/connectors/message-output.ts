/**
 * The output of a platform's protocol: records from the pump, and between them messages that others write (states, logs),
 * each whole. The platform reads standard output, so nothing that has been written can be taken back.
 */

import { settledWithin } from "../lib/async.ts";
import { EVERYTHING } from "../lib/output-key.ts";
import type { OutputMark, Segment, Sink } from "../sink/sink.ts";

const encoder = new TextEncoder();

/** How long a reader that has stopped reading may delay a stop. */
const DRAIN_MS = 500;

export class MessageOutput implements Sink {
  readonly mayBlock: boolean;
  readonly #sink: Sink;
  /** The last write: the next one waits for it. It never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;
  /** By `db.collection`, the records since `takeCount`. */
  readonly #counts = new Map<string, number>();
  /** The text of the last message; undefined where records have followed it. */
  #lastSaid: string | undefined;
  /** By `db.collection`, what comes before its first record. */
  readonly #announcements = new Map<string, () => unknown>();
  readonly #signal: AbortSignal;

  /** Writes to `sink`, which it disposes. When `signal` aborts, nothing waits for the reader any longer than DRAIN_MS. */
  constructor(sink: Sink, signal: AbortSignal = new AbortController().signal) {
    this.#sink = sink;
    this.#signal = signal;
    this.mayBlock = sink.mayBlock;
  }

  /** Sets the messages to write before the first record of each collection (`db.collection`). */
  announce(messages: Iterable<readonly [name: string, message: () => unknown]>): void {
    for (const [name, message] of messages) this.#announcements.set(name, message);
  }

  /** Writes the records of a batch, and counts them. */
  async write(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    if (this.#announcements.size > 0) this.#sayAnnounced(segments);
    this.#lastSaid = undefined;
    await this.#queued(() => this.#sink.write(bytes, segments));
    for (const { key, lines } of segments) {
      if (key.kind === "collection") this.#counts.set(key.namespace, (this.#counts.get(key.namespace) ?? 0) + lines);
    }
  }

  /** Writes messages. Call it without waiting where the order is all that matters: an error shows up in the next call. */
  say(...messages: readonly unknown[]): Promise<void> {
    const texts = messages.map((message) => (typeof message === "string" ? message : JSON.stringify(message)));
    this.#lastSaid = texts.at(-1);
    const bytes = encoder.encode(texts.map((text) => `${text}\n`).join(""));
    const segment = { key: EVERYTHING, begin: 0, end: bytes.length, lines: messages.length };
    const written = this.#queued(() => this.#sink.write(bytes, [segment]));
    written.catch(() => undefined);
    return written;
  }

  /** Whether the message is the last thing that was written. */
  hasJustSaid(message: unknown): boolean {
    return this.#lastSaid === JSON.stringify(message);
  }

  /** How many records of a collection (`db.collection`) have been written since the last call. */
  takeCount(name: string): number {
    const count = this.#counts.get(name) ?? 0;
    this.#counts.delete(name);
    return count;
  }

  /** Whether records of a collection have been written since `takeCount`. */
  hasCount(name: string): boolean {
    return this.#counts.has(name);
  }

  written(): Promise<void> {
    return this.#queued(() => this.#sink.written());
  }

  flush(): Promise<readonly OutputMark[]> {
    return this.#queued(() => this.#sink.flush());
  }

  async onStateSaved(): Promise<void> {}

  finalize(): Promise<readonly OutputMark[]> {
    return this.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink[Symbol.asyncDispose]();
  }

  #sayAnnounced(segments: readonly Segment[]): void {
    for (const { key } of segments) {
      if (key.kind !== "collection") continue;
      const message = this.#announcements.get(key.namespace);
      if (message !== undefined) void this.say(message());
      this.#announcements.delete(key.namespace);
    }
  }

  /** Runs `work` behind the writes before. After an error every call throws it. */
  #queued<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(async () => {
      if (this.#failure !== undefined) throw this.#failure.error;
      return await settledWithin(work(), this.#signal, DRAIN_MS);
    });
    this.#last = next.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    return next;
  }
}
