/** What the pump demands of an output. Implementations: files.ts, stdout.ts. */

/** A run of whole lines inside the bytes handed to `write`, all of one collection. */
export interface Segment {
  /** `db.collection` */
  readonly namespace: string;
  readonly begin: number;
  readonly end: number;
  readonly lines: number;
}

/** How much of one output is durable: the place to cut it back to after a crash. Kept in the state. */
export interface OutputMark {
  /** Absolute path of the finished file. */
  readonly path: string;
  /** Set where the sink keeps one file for each collection. */
  readonly namespace?: string;
  /**
   * The file may still be called `path.partial`; `replacing`: an older file of that name stands at `path` until then.
   * Absent: the file is at `path`.
   */
  readonly partial?: "new" | "replacing";
  readonly bytes: number;
  readonly lines: number;
  /** CRC-32 of the last bytes before the mark (at most 64 KiB): tells a replaced file from ours. */
  readonly tailCrc: number;
  /** The inode: tells a replaced file from ours while there are no bytes to vouch for it. */
  readonly inode: number;
  /** Finished and renamed to `path`: nothing may be appended any more. */
  readonly sealed: boolean;
}

/** No two calls may be pending at the same time. After an error every further call fails with the same error. */
export interface Sink extends AsyncDisposable {
  /** Somebody takes what is written, and may stop doing so: whoever is told to end waits for him no more than a moment. */
  readonly mayBlock: boolean;
  /**
   * Appends the segments of `bytes` in order. Resolves when `bytes` may be used again by the caller; says nothing
   * about durability.
   * @throws MongotapError `output` (no space, not writable, changed from outside) or `pipe` (the reader is gone);
   *   after that the sink is unusable.
   */
  write(bytes: Uint8Array, segments: readonly Segment[]): Promise<void>;
  /**
   * Resolves when the system has taken every byte written so far: files may be written in the background.
   * @throws MongotapError as `write` does
   */
  written(): Promise<void>;
  /**
   * Resolves when every byte written so far would survive: a power cut for files, our own end for a pipe.
   * Returns the marks that say so. Empty where an output cannot be cut back (a pipe, or files without a state).
   */
  flush(): Promise<readonly OutputMark[]>;
  /**
   * To be called when the state holds the marks of the last `flush()` durably, never before that: files that are new
   * since then take their own names. Forgetting it costs a late name, calling it early costs the promise.
   */
  onStateSaved(): Promise<void>;
  /**
   * Flushes, gives finished files their final names and returns the marks. The output is complete. Where files are
   * appended to by the next run (tail, capture) nothing is sealed, and `committed()` is due after the last save too.
   */
  finalize(): Promise<readonly OutputMark[]>;
}
