/** The contract of an output, as the pump uses it. Implementations: files.ts, pipe.ts, stdout.ts, quarantine.ts. */

import type { OutputKey } from "../lib/output-key.ts";

/** Successive whole lines of one output key within the bytes passed to `write`. */
export interface Segment {
  readonly key: OutputKey;
  readonly begin: number;
  readonly end: number;
  readonly lines: number;
}

/** How much of one output file is durable. The state holds it; after a crash the file is truncated to it. */
export interface OutputMark {
  /** Absolute path of the file under its own name. */
  readonly path: string;
  /** What the file holds. */
  readonly key: OutputKey;
  /**
   * The file may still be called `path.partial`: `new` where there is no file at `path`, `replacing` where there is an older
   * one. Absent: the file is at `path`.
   */
  readonly partial?: "new" | "replacing";
  readonly bytes: number;
  readonly lines: number;
  /** CRC-32 of the last bytes before the mark (at most 64 KiB). Tells our file from another one at the same path. */
  readonly tailCrc: number;
  /** The inode. Tells our file from another one while it has no bytes. */
  readonly inode: number;
  /** The file is complete and at `path`: nothing may be appended. */
  readonly finalized: boolean;
}

/** One call at a time. After an error every further call throws the same error; only disposing is left to do. */
export interface Sink extends AsyncDisposable {
  /** The output has a reader that may stall (a pipe). On shutdown, do not wait long for a pending `write`. */
  readonly mayBlock: boolean;
  /**
   * Appends the segments of `bytes` in their order. Resolves when the caller may use `bytes` again, which promises nothing
   * about where the bytes are.
   * @throws MongotapError `output` (no space, not writable, changed by another program), `pipe` (the reader is gone), or
   *   `state` (the output was finalized)
   */
  write(bytes: Uint8Array, segments: readonly Segment[]): Promise<void>;
  /**
   * Resolves when the operating system has every byte of the earlier `write`s, which may go through a thread.
   * @throws MongotapError as `write` does
   */
  written(): Promise<void>;
  /**
   * Makes the bytes of the earlier `write`s durable: they survive a power cut in a file, and the end of this process in a
   * pipe. Returns the marks that say so; none for a pipe, nor for files without a state.
   * @throws MongotapError as `write` does
   */
  flush(): Promise<readonly OutputMark[]>;
  /**
   * Cuts the output back to where it ended at the last `flush` (where there was none: when it was opened), so that later
   * writes begin there. Absent where bytes cannot be taken back (a pipe).
   * @throws MongotapError as `write` does
   */
  readonly rollBack?: () => Promise<void>;
  /**
   * Gives new files their own names. Call it when the marks of the last `flush` or `finalize` are durable in the state,
   * never earlier: the next run takes a file without a mark for another program's.
   */
  onStateSaved(): Promise<void>;
  /**
   * Flushes, and completes the output where it ends with this run: files get their own names and nothing can be appended.
   * Where the next run appends (tail, capture), no file is finalized. Returns the marks; save them, then call
   * `onStateSaved`.
   * @throws MongotapError as `write` does
   */
  finalize(): Promise<readonly OutputMark[]>;
}
