/**
 * Output as files: a single one, or one for each output key. Files are exactly-once: after `kill -9` at any instruction the
 * next run, with the marks of the last saved state, leaves the bytes of a run without a crash.
 *
 * A file that no saved state has a mark for is called `PATH.partial`, which tells it from the user's files. It gets its own
 * name in `onStateSaved`, or in `finalize` where the output ends with this run. So
 *   - `PATH.partial` without a mark was left by a crash before the first save: it is written anew;
 *   - `PATH` without a mark is not ours: refused, unless `replace` is set or it is empty;
 *   - `PATH` or `PATH.partial` with a mark is ours, and is truncated to the mark (recover.ts).
 * Without a state there is nothing to recover: a file that is not finalized has its own name from the start.
 *
 * A path that exists and is no regular file (`/dev/null`, a FIFO) is written to like a pipe (pipe.ts).
 */

import type { Stats } from "node:fs";
import { dirname, resolve } from "node:path";
import { MongotapError } from "../errors.ts";
import { codeOf } from "../lib/fs.ts";
import { idOf, type OutputKey } from "../lib/output-key.ts";
import { otherOutput, outputError, unknownFile } from "./errors.ts";
import { inspectFile, inspectTarget, makeDirectory, syncNames } from "./inspect-path.ts";
import { type FileLength, OutputFile } from "./output-file.ts";
import { type FileTarget, OutputPaths } from "./paths.ts";
import { openPipeSink } from "./pipe.ts";
import { recover } from "./recover.ts";
import type { OutputMark, Segment, Sink } from "./sink.ts";
import { gather } from "./write.ts";
import type { WriteBehind } from "./write-behind.ts";

export interface FileSinkOptions {
  readonly target: FileTarget;
  /** From the last saved state; empty on a first run. */
  readonly marks: readonly OutputMark[];
  /** The output ends with this run (backfill): `finalize` completes it. Else the next run appends to it. */
  readonly finalizes: boolean;
  /** Files without a mark may be replaced (no state file, or `--fresh`). */
  readonly replace: boolean;
  /** There is a state file: `flush` makes durable and returns marks. Else only `finalize` makes durable. */
  readonly hasState: boolean;
  /** The outputs that are made at once, so that they are there even if no line comes (directory only). */
  readonly outputs?: readonly OutputKey[];
  /** `outputs` are all that will ever be written: other files of the same collections are refused (directory only). */
  readonly isComplete?: boolean;
  /** By namespace, what names its file instead of the namespace: `acmeCo/orders` (directory only). */
  readonly targets?: ReadonlyMap<string, string>;
  /** Ends the wait for the reader of a FIFO. */
  readonly signal?: AbortSignal;
  /** Writes large batches; the sink disposes it. Absent: this thread writes everything. */
  readonly behind?: WriteBehind | undefined;
}

/** Files that are open at once. A capture of thousands of collections closes those that were not written to for longest. */
const MOST_OPEN = 400;
/** Files that are made durable at once. */
const SYNCED_TOGETHER = 16;
/** Where a new file ends. */
const EMPTY: FileLength = { bytes: 0, lines: 0 };
/** As of every Unix tool: the umask decides who may read. */
const FILE_MODE = 0o666;

/**
 * Opens the output and truncates its files to the marks. Resolves when the single file exists, or the directory.
 * @throws MongotapError `state` when a file is not as its mark says: nothing has been written or truncated then; `output`
 *   when the path cannot be written to, or holds a file without a mark; `config` when two targets would share a file
 */
export async function openFileSink(options: FileSinkOptions): Promise<Sink> {
  const target = { ...options.target, path: resolve(options.target.path) };
  const { path } = target;
  const found = await inspectTarget(target.kind, path);
  if (found === "special" || found === "fifo") {
    if (options.marks.length > 0) throw otherOutput(path);
    return await openPipeSink(path, found === "fifo", options.signal);
  }
  const paths = new OutputPaths(target, options.targets);
  paths.assertUnchanged(options.marks);
  const marks = await recover(options.marks, options.finalizes);
  await paths.prepare();
  const sink = new FileSink(options, paths, marks);
  try {
    await sink.createAll(paths.single === undefined ? (options.outputs ?? []) : [paths.single]);
  } catch (error) {
    await sink[Symbol.asyncDispose]();
    throw error;
  }
  return sink;
}

/** Where a file without a mark is going to be, and the file under its own name that is there already. */
interface NewFile {
  readonly key: OutputKey;
  readonly path: string;
  readonly older: Stats | undefined;
}

class FileSink implements Sink {
  readonly mayBlock = false;
  readonly #options: FileSinkOptions;
  readonly #paths: OutputPaths;
  /** By the ids of their keys. */
  readonly #files = new Map<string, OutputFile>();
  /** Those with a file handle; least recently written first. */
  readonly #open = new Set<OutputFile>();
  /** The files with marks from the last flush that do not have their own names yet. */
  #unnamed: OutputFile[] = [];
  /** Where each file ended at the last flush. */
  #flushed = new Map<OutputFile, FileLength>();
  /** Directories with names that were made or changed since they were last durable. */
  readonly #dirty = new Set<string>();
  #failure: Error | undefined;
  #pending: Promise<unknown> = Promise.resolve();

  constructor(options: FileSinkOptions, paths: OutputPaths, marks: readonly OutputMark[]) {
    this.#options = options;
    this.#paths = paths;
    for (const mark of marks) this.#files.set(idOf(mark.key), new OutputFile(mark, options.behind));
    this.#noteEnds();
  }

  /** At the latest in the end: with each commit where there is a state, else when the output is complete. */
  get #willBeDurable(): boolean {
    return this.#options.hasState || this.#options.finalizes;
  }

  /** Makes the files for `keys`, which differ, as far as they have no marks; none of them if one may not be made. */
  async createAll(keys: readonly OutputKey[]): Promise<void> {
    const paths = keys.map((key) => this.#paths.pathOf(key));
    const missing: NewFile[] = [];
    for (const key of keys) if (!this.#files.has(idOf(key))) missing.push(await this.#inspect(key));
    if (this.#options.isComplete === true) await this.#paths.rejectStalePartitions(paths);
    for (const file of missing) await this.#create(file);
  }

  async write(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    await this.#guarded(() => this.#append(bytes, segments));
  }

  async #append(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    for (const slice of gather(bytes, segments, this.#paths.single)) {
      const file = this.#files.get(idOf(slice.key)) ?? (await this.#create(await this.#inspect(slice.key)));
      if (file.mark.finalized) throw new MongotapError("state", `${file.mark.path} is finished: nothing can be added`);
      await file.append(slice.bytes, slice.lines, this.#willBeDurable);
      await this.#keepOpen(file);
    }
  }

  /** @throws MongotapError `output` when there is a file that must not be replaced */
  async #inspect(key: OutputKey): Promise<NewFile> {
    const path = this.#paths.pathOf(key);
    const older = await inspectFile(path);
    if (older !== undefined && older.size > 0 && !this.#options.replace) throw unknownFile(path);
    return { key, path, older };
  }

  async #create({ key, path, older }: NewFile): Promise<OutputFile> {
    const partial = older === undefined ? "new" : "replacing";
    const mark = {
      path,
      key,
      ...(this.#willBeDurable ? ({ partial } as const) : {}),
      bytes: 0,
      lines: 0,
      tailCrc: 0,
      inode: 0,
      finalized: false,
    };
    const file = new OutputFile(mark, this.#options.behind);
    const directory = dirname(path);
    // A target may be in a directory of its own. That of a single file has to be there.
    if (this.#paths.single === undefined && directory !== this.#paths.root) await makeDirectory(directory);
    await file.create(older === undefined ? FILE_MODE : older.mode & 0o777);
    this.#files.set(idOf(key), file);
    this.#dirty.add(directory);
    await this.#keepOpen(file);
    return file;
  }

  async written(): Promise<void> {
    await this.#guarded(async () => this.#options.behind?.written());
  }

  async flush(): Promise<readonly OutputMark[]> {
    return await this.#guarded(async () => {
      const marks = this.#options.hasState ? await this.#flushAll() : [];
      this.#noteEnds();
      return marks;
    });
  }

  readonly rollBack = async (): Promise<void> => {
    await this.#guarded(async () => {
      for (const file of this.#files.values()) {
        const end = this.#flushed.get(file) ?? EMPTY;
        if (file.end.bytes === end.bytes) continue;
        await file.cutBack(end, this.#options.hasState);
        await this.#keepOpen(file);
      }
    });
  };

  async onStateSaved(): Promise<void> {
    if (this.#options.finalizes) return;
    await this.#guarded(async () => {
      for (const file of this.#unnamed.splice(0)) await this.#giveName(file, false);
    });
  }

  async finalize(): Promise<readonly OutputMark[]> {
    return await this.#guarded(async () => {
      const marks = await this.#flushAll();
      if (!this.#options.finalizes) return marks;
      const unfinished = [...this.#files.values()].filter((file) => !file.mark.finalized);
      for (const file of unfinished) await this.#giveName(file, true);
      await this.#syncNames();
      return this.#marks();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const earlier = this.#failure;
    this.#failure ??= new MongotapError("bug", "an output was used after it was closed");
    // The caller of the pending step has its error. No write may meet a closed descriptor.
    await this.#pending.catch(() => undefined);
    const [unwritten] = await Promise.allSettled([this.#options.behind?.written()]);
    await this.#options.behind?.[Symbol.asyncDispose]();
    const open = [...this.#open];
    this.#open.clear();
    const closed = await Promise.allSettled(open.map((file) => file.close()));
    const failed = closed.find((result) => result.status === "rejected");
    if (earlier !== undefined) return;
    if (unwritten.status === "rejected") throw unwritten.reason;
    if (failed !== undefined) throw outputError("close", this.#paths.root, failed.reason);
  }

  async #flushAll(): Promise<OutputMark[]> {
    const files = [...this.#files.values()];
    for (let begin = 0; begin < files.length; begin += SYNCED_TOGETHER) {
      const syncs = files.slice(begin, begin + SYNCED_TOGETHER).map((file) => file.flush(true));
      const failed = (await Promise.allSettled(syncs)).find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    }
    await this.#syncNames();
    this.#unnamed = files.filter((file) => file.mark.partial !== undefined);
    return this.#marks();
  }

  async #syncNames(): Promise<void> {
    for (const directory of this.#dirty) await syncNames(directory);
    this.#dirty.clear();
  }

  async #giveName(file: OutputFile, finalized: boolean): Promise<void> {
    const { path, partial } = file.mark;
    if (partial === "new" && (await inspectFile(path)) !== undefined) throw unknownFile(path);
    await file.giveName(finalized);
    this.#dirty.add(dirname(path));
  }

  #noteEnds(): void {
    this.#flushed = new Map([...this.#files.values()].map((file) => [file, file.end]));
  }

  #marks(): OutputMark[] {
    return [...this.#files.values()].map((file) => file.mark);
  }

  async #keepOpen(file: OutputFile): Promise<void> {
    this.#open.delete(file);
    this.#open.add(file);
    if (this.#open.size <= MOST_OPEN) return;
    for (const oldest of this.#open) {
      this.#open.delete(oldest);
      await oldest.flush(this.#willBeDurable);
      await oldest.close();
      break;
    }
  }

  /** After a failure it is unknown what the disk holds: a second fsync may succeed although bytes are lost. */
  async #guarded<T>(step: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const pending = step();
      this.#pending = pending;
      return await pending;
    } catch (error) {
      this.#failure =
        error instanceof Error && codeOf(error) === "" ? error : outputError("use", this.#paths.root, error);
      throw this.#failure;
    }
  }
}
