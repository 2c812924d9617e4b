/**
 * Output as files: one for everything, or one for each collection. Files are exactly-once: after `kill -9` at any
 * instruction the next run, given the marks of the last saved state, leaves the bytes of an undisturbed run.
 *
 * How a file that no state knows yet is told from somebody else's: it is called `PATH.partial`. It gets its own name by
 * `committed()`, when a saved state knows it, or by `seal()` where it is to be seen only as a whole. So
 *   - `PATH.partial` without a mark is what a crash before the first save left behind: it is written anew;
 *   - `PATH` without a mark is not ours: refused, unless `replace` is set or it is empty;
 *   - `PATH` or `PATH.partial` with a mark is ours and is cut back to the mark (recover.ts).
 * Without a state there is nothing to recover: a file that is not sealed has its own name from the start.
 *
 * A path that exists and is no regular file (`/dev/null`, a FIFO) is written to like a pipe (pipe.ts).
 */

import type { Stats } from "node:fs";
import { dirname, resolve, sep } from "node:path";
import { MongotapError } from "../errors.ts";
import { wholeOf } from "../lib/part-name.ts";
import { codeOf } from "../lib/fs.ts";
import { makeDirectory, syncNames } from "./directory.ts";
import { rejectStalePartitions } from "./older-parts.ts";
import { otherOutput, outputError, unknownFile } from "./output-errors.ts";
import { OutputFile } from "./output-file.ts";
import { openPipeSink } from "./pipe.ts";
import { assertUnchanged, outputPaths } from "./places.ts";
import { recover } from "./recover.ts";
import { gather } from "./segments.ts";
import type { OutputMark, Segment, Sink } from "./sink.ts";
import { inspectOlder, inspectTarget } from "./target.ts";
import type { WriteBehind } from "./write-behind.ts";

/** A file for everything, or a directory with one file for each collection. */
export interface FileTarget {
  readonly kind: "file" | "directory";
  readonly path: string;
}

export interface FileSinkOptions {
  readonly target: FileTarget;
  /** From the last saved state; empty on a first run. */
  readonly marks: readonly OutputMark[];
  /** The output ends with this job (`backfill`): it gets its own name when it is complete. Else it is appended to. */
  readonly seals: boolean;
  /** Finished files that the state does not know may be replaced (no state file, or `--fresh`). */
  readonly replace: boolean;
  /** There is a state file: `flush()` makes durable and returns marks. Else only `seal()` makes durable. */
  readonly durable: boolean;
  /** Collections whose files are made at once, so that they are there even if no line comes (directory only). */
  readonly namespaces?: readonly string[];
  /** `namespaces` are all that will ever be written: whatever else there is of the same collections is refused (directory only). */
  readonly isWhole?: boolean;
  /** By namespace, what its file is called instead of the namespace: `acmeCo/orders` (directory only). */
  readonly targets?: ReadonlyMap<string, string>;
  /** Ends the wait for the reader of a FIFO. */
  readonly signal?: AbortSignal;
  /** Writes large batches; the sink's own from now on. Absent: all is written by this thread. */
  readonly behind?: WriteBehind | undefined;
}

/** Files held open; a capture of thousands of collections closes those not written to for longest. */
const MOST_OPEN = 400;
/** Files made durable at the same time. */
const SYNCED_TOGETHER = 16;
/** As of every Unix tool: the umask decides who may read. */
const FILE_MODE = 0o666;

/**
 * Opens the output and puts it back to the marks. A single file exists from then on, a directory too.
 * @throws MongotapError `state` when a file is not as its mark says (nothing has been written or cut then); `output`
 *   when the path cannot be written to, or holds a file that the state does not know.
 */
export async function openFileSink(options: FileSinkOptions): Promise<Sink> {
  const { kind } = options.target;
  const path = resolve(options.target.path);
  const found = await inspectTarget(kind, path);
  const isPipe = found === "special" || found === "fifo";
  const belongs = (mark: OutputMark): boolean =>
    kind === "file" ? mark.path === path : mark.path.startsWith(`${path}${sep}`);
  if (isPipe ? options.marks.length > 0 : !options.marks.every(belongs)) throw otherOutput(path);
  if (isPipe) return await openPipeSink(path, found === "fifo", options.signal);

  if (kind === "directory") assertUnchanged(path, options.marks, options.targets);
  const marks = await recover(options.marks, options.seals);
  if (kind === "directory") await makeDirectory(path);
  const nameOf = kind === "file" ? undefined : await outputPaths(path, options.targets);
  const sink = new FileSink(options, path, nameOf, marks);
  try {
    const namespaces = kind === "file" ? [""] : (options.namespaces ?? []);
    const inspected = [];
    for (const namespace of namespaces) inspected.push(await sink.inspect(namespace));
    if (kind === "directory" && options.isWhole === true)
      await rejectStalePartitions(inspected.map((found) => found.path));
    for (const namespace of namespaces) await sink.require(namespace);
  } catch (error) {
    await sink[Symbol.asyncDispose]();
    throw error;
  }
  return sink;
}

class FileSink implements Sink {
  readonly mayBlock = false;
  readonly #options: FileSinkOptions;
  /** The file, or the directory. */
  readonly #root: string;
  /** The path for a collection; undefined where everything goes into one file. */
  readonly #pathFor: ((namespace: string) => string) | undefined;
  /** By namespace; a single file has the key "". */
  readonly #files = new Map<string, OutputFile>();
  /** Those with a file handle; least recently written first. */
  readonly #open = new Set<OutputFile>();
  /** Files that the marks of the last flush() speak of and that have not got their own names yet. */
  #unnamed: OutputFile[] = [];
  /** Directories in which a name was made or changed since they were last made durable. */
  readonly #dirty = new Set<string>();
  #failure: Error | undefined;
  #pending: Promise<unknown> = Promise.resolve();

  constructor(
    options: FileSinkOptions,
    root: string,
    pathFor: ((namespace: string) => string) | undefined,
    marks: readonly OutputMark[],
  ) {
    this.#options = options;
    this.#root = root;
    this.#pathFor = pathFor;
    for (const mark of marks) this.#files.set(mark.namespace ?? "", new OutputFile(mark, options.behind));
  }

  /** In the end at the latest: with each commit where there is a state, or when the output is complete. */
  get #willBeDurable(): boolean {
    return this.#options.durable || this.#options.seals;
  }

  /** Resolves to where a file for `namespace` would be, and what is there. @throws when that must not be replaced. */
  async inspect(namespace: string): Promise<{ path: string; older: Stats | undefined }> {
    const path = this.#pathFor?.(namespace) ?? this.#root;
    const older = await inspectOlder(path);
    const isOurs = this.#files.has(namespace) || this.#options.replace;
    if (older !== undefined && older.size > 0 && !isOurs) throw unknownFile(path);
    return { path, older };
  }

  /** Resolves to the file of `namespace`, which exists from then on. */
  async require(namespace: string): Promise<OutputFile> {
    const known = this.#files.get(namespace);
    if (known !== undefined) return known;
    const { path, older } = await this.inspect(namespace);
    const isPartial = this.#willBeDurable;
    const mark = {
      path,
      ...(this.#pathFor === undefined ? {} : { namespace }),
      ...(isPartial ? { partial: older === undefined ? ("new" as const) : ("replacing" as const) } : {}),
      bytes: 0,
      lines: 0,
      tailCrc: 0,
      inode: 0,
      sealed: false,
    };
    const file = new OutputFile(mark, this.#options.behind);
    if (this.#options.targets?.has(wholeOf(namespace).name) === true) await makeDirectory(dirname(path));
    await file.create(older === undefined ? FILE_MODE : older.mode & 0o777);
    this.#files.set(namespace, file);
    this.#dirty.add(dirname(path));
    await this.#keepOpen(file);
    return file;
  }

  async write(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    await this.#guarded(() => this.#append(bytes, segments));
  }

  async #append(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    for (const run of gather(bytes, segments, this.#pathFor !== undefined)) {
      const file = await this.require(run.namespace);
      if (file.mark.sealed) throw new MongotapError("state", `${file.mark.path} is finished: nothing can be added`);
      await file.append(run.bytes, run.lines, this.#willBeDurable);
      await this.#keepOpen(file);
    }
  }

  async written(): Promise<void> {
    await this.#guarded(async () => this.#options.behind?.settled());
  }

  async flush(): Promise<readonly OutputMark[]> {
    return await this.#guarded(async () => {
      if (!this.#options.durable) return [];
      return await this.#flushAll();
    });
  }

  async onStateSaved(): Promise<void> {
    if (this.#options.seals) return;
    await this.#guarded(async () => {
      for (const file of this.#unnamed.splice(0)) await this.#giveName(file, false);
    });
  }

  async finalize(): Promise<readonly OutputMark[]> {
    return await this.#guarded(async () => {
      const marks = await this.#flushAll();
      if (!this.#options.seals) return marks;
      const open = [...this.#files.values()].filter((file) => !file.mark.sealed);
      for (const file of open) await this.#giveName(file, true);
      await this.#syncNames();
      return this.#marks();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const earlier = this.#failure;
    this.#failure ??= new MongotapError("bug", "an output was used after it was closed");
    // What fails here was told to its caller, or will be below; no write may meet a closed descriptor.
    await this.#pending.catch(() => undefined);
    const [unwritten] = await Promise.allSettled([this.#options.behind?.settled()]);
    await this.#options.behind?.[Symbol.asyncDispose]();
    const open = [...this.#open];
    this.#open.clear();
    const closed = await Promise.allSettled(open.map((file) => file.close()));
    const failed = closed.find((result) => result.status === "rejected");
    if (earlier !== undefined) return;
    if (unwritten.status === "rejected") throw unwritten.reason;
    if (failed !== undefined) throw outputError("close", this.#root, failed.reason);
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

  async #giveName(file: OutputFile, sealed: boolean): Promise<void> {
    const { path, partial } = file.mark;
    if (partial === "new" && (await inspectOlder(path)) !== undefined) throw unknownFile(path);
    await file.giveName(sealed);
    this.#dirty.add(dirname(path));
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

  /** After one failure nothing is known about what the disk holds: a second fsync may succeed and lie. */
  async #guarded<T>(step: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const pending = step();
      this.#pending = pending;
      return await pending;
    } catch (error) {
      this.#failure = error instanceof Error && codeOf(error) === "" ? error : outputError("use", this.#root, error);
      throw this.#failure;
    }
  }
}
