/**
 * Output as files: one for everything, or one for each collection. Files are exactly-once: after `kill -9` at any
 * instruction the next run, given the marks of the last saved state, leaves the bytes of an undisturbed run.
 *
 * How a file that no state knows yet is told from somebody else's: it is called `PATH.partial`. It gets its own name by
 * `committed()`, which is called when a saved state knows it, or by `seal()` when it is to be seen only as a whole. So
 *   - `PATH.partial` without a mark is what a crash before the first save left behind: it is written anew;
 *   - `PATH` without a mark is not ours: refused, unless `replace` is set or it is empty;
 *   - `PATH` or `PATH.partial` with a mark is ours and is cut back to the mark (recover.ts).
 * Without a state there is nothing to recover: a file that is not sealed has its own name from the start.
 *
 * A path that exists and is no regular file (`/dev/null`, a FIFO) is written to like a pipe.
 */

import { constants } from "node:fs";
import { lstat, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { MongotapError } from "../errors.ts";
import { foldsCase, makeDirectory, syncDirectory } from "./directory.ts";
import { fileNameOf } from "./file-names.ts";
import { codeOf, outputError } from "./output-errors.ts";
import { OutputFile } from "./output-file.ts";
import { openPipeSink } from "./pipe.ts";
import { recover } from "./recover.ts";
import type { OutputMark, Segment, Sink } from "./sink.ts";

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
}

/** Open files at a time; a capture of thousands of collections closes those not written to for longest. */
const MOST_OPEN = 200;
const FILE_MODE = 0o666; // as every Unix tool: the umask decides who may read

/**
 * Opens the output and puts it back to the marks. Nothing is written when it throws, except by `replace`.
 * @throws MongotapError `state` when a file is not as its mark says; `output` when the path cannot be written to, or
 *   holds a file that the state does not know.
 */
export async function openFileSink(options: FileSinkOptions): Promise<Sink> {
  const path = resolve(options.target.path);
  const special = await inspect(path, options.target.kind);
  if (special) {
    if (options.marks.length > 0) throw otherOutput(path);
    return await openPipeSink(path);
  }
  for (const mark of options.marks) {
    const owner = options.target.kind === "file" ? mark.path : dirname(mark.path);
    if (owner !== path) throw otherOutput(path);
  }
  const recovered = await recover(options.marks, options.seals);
  if (options.target.kind === "directory") await makeDirectory(path);
  const folds = options.target.kind === "directory" && (await foldsCase(path));
  const sink = new FileSink(options, path, folds, recovered);
  try {
    if (options.target.kind === "file") await sink.require("");
    for (const namespace of options.namespaces ?? []) await sink.require(namespace);
  } catch (error) {
    await sink[Symbol.asyncDispose]();
    throw error;
  }
  return sink;
}

class FileSink implements Sink {
  readonly #options: FileSinkOptions;
  readonly #root: string;
  readonly #foldsCase: boolean;
  /** By namespace; a single file has the key "". Least recently written first. */
  readonly #files = new Map<string, OutputFile>();
  #directoryIsDirty = false;
  #failure: unknown;

  constructor(options: FileSinkOptions, root: string, folds: boolean, marks: readonly OutputMark[]) {
    this.#options = options;
    this.#root = root;
    this.#foldsCase = folds;
    for (const mark of marks) this.#files.set(mark.namespace ?? "", new OutputFile(mark));
  }

  /** Resolves to the file of `namespace`, which exists from then on. */
  async require(namespace: string): Promise<OutputFile> {
    const known = this.#files.get(namespace);
    if (known !== undefined) return known;
    const isSingle = this.#options.target.kind === "file";
    const path = isSingle ? this.#root : join(this.#root, fileNameOf(namespace, { foldsCase: this.#foldsCase }));
    const older = await inspectOlder(path);
    if (older !== undefined && older.size > 0 && !this.#options.replace) throw unknownFile(path);
    const staged = this.#options.seals || this.#options.durable;
    const file = new OutputFile({
      path,
      ...(isSingle ? {} : { namespace }),
      ...(staged ? { partial: older === undefined ? ("new" as const) : ("replacing" as const) } : {}),
      bytes: 0,
      lines: 0,
      tailCrc: 0,
      inode: 0,
      sealed: false,
    });
    await file.create(older === undefined ? FILE_MODE : older.mode & 0o777);
    this.#files.set(namespace, file);
    this.#directoryIsDirty = true;
    return file;
  }

  async write(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    await this.#guarded(async () => {
      for (const [namespace, run] of this.#gather(segments)) {
        const file = await this.require(namespace);
        if (file.mark.sealed) throw new MongotapError("state", `${file.mark.path} is finished: nothing can be appended`);
        await file.append(
          run.map((segment) => bytes.subarray(segment.begin, segment.end)),
          run.reduce((lines, segment) => lines + segment.lines, 0),
        );
        this.#files.delete(namespace);
        this.#files.set(namespace, file);
      }
      await this.#closeSome();
    });
  }

  async flush(): Promise<readonly OutputMark[]> {
    return await this.#guarded(async () => {
      if (!this.#options.durable) return [];
      await this.#flushAll();
      return this.#marks();
    });
  }

  async committed(): Promise<void> {
    if (this.#options.seals) return;
    await this.#guarded(async () => {
      for (const file of this.#files.values()) {
        if (file.mark.partial !== undefined) await this.#settle(file, false);
      }
    });
  }

  async seal(): Promise<readonly OutputMark[]> {
    return await this.#guarded(async () => {
      await this.#flushAll();
      if (this.#options.seals) {
        for (const file of this.#files.values()) if (!file.mark.sealed) await this.#settle(file, true);
        await this.#syncDirectory();
      }
      return this.#marks();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#files.values()) await file.close();
  }

  #gather(segments: readonly Segment[]): Map<string, Segment[]> {
    const isSingle = this.#options.target.kind === "file";
    const runs = new Map<string, Segment[]>();
    for (const segment of segments) {
      const key = isSingle ? "" : segment.namespace;
      const run = runs.get(key);
      if (run === undefined) runs.set(key, [segment]);
      else run.push(segment);
    }
    return runs;
  }

  async #flushAll(): Promise<void> {
    for (const file of this.#files.values()) await file.flush(true);
    await this.#syncDirectory();
  }

  async #syncDirectory(): Promise<void> {
    if (!this.#directoryIsDirty) return;
    await syncDirectory(this.#options.target.kind === "file" ? dirname(this.#root) : this.#root);
    this.#directoryIsDirty = false;
  }

  async #settle(file: OutputFile, sealed: boolean): Promise<void> {
    const { path, partial } = file.mark;
    if (partial === "new") {
      const other = await inspectOlder(path);
      if (other !== undefined) throw unknownFile(path);
    }
    await file.settle(sealed);
    this.#directoryIsDirty = true;
  }

  #marks(): OutputMark[] {
    return [...this.#files.values()].map((file) => file.mark);
  }

  async #closeSome(): Promise<void> {
    const open = [...this.#files.values()].filter((file) => file.isOpen);
    for (const file of open.slice(0, Math.max(0, open.length - MOST_OPEN))) {
      await file.flush(this.#options.durable);
      await file.close();
    }
  }

  /** After one failure nothing is known about what the disk holds: a second fsync may succeed and lie. */
  async #guarded<T>(step: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return await step();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }
}

/** Whether `path` exists and is a pipe, a device or the like. @throws MongotapError where it cannot be the target. */
async function inspect(path: string, kind: FileTarget["kind"]): Promise<boolean> {
  let found;
  try {
    found = await lstat(path);
    if (kind === "directory" || found.isSymbolicLink()) {
      const behind = await stat(path);
      if (kind === "file" && behind.isFile()) throw outputIs(path, "is a symbolic link: name the file itself");
      found = behind;
    }
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw outputError("write to", path, error);
    if (found !== undefined) throw outputIs(path, "is a symbolic link that leads nowhere");
    if (kind === "file") await expectDirectory(dirname(path), path);
    return false;
  }
  if (kind === "directory") {
    if (!found.isDirectory()) throw outputIs(path, "is not a directory");
    return false;
  }
  if (found.isDirectory()) throw outputIs(path, "is a directory: end it with a slash for one file per collection");
  if (found.isBlockDevice()) throw outputIs(path, "is a block device");
  return !found.isFile();
}

async function expectDirectory(directory: string, path: string): Promise<void> {
  const found = await stat(directory).catch(() => undefined);
  if (found === undefined) throw outputIs(path, `cannot be created: the directory ${directory} does not exist`);
  if (!found.isDirectory()) throw outputIs(path, `cannot be created: ${directory} is not a directory`);
}

/** What stands at the place of a new file. @throws MongotapError `output` when it is no regular file. */
async function inspectOlder(path: string): Promise<{ size: number; mode: number } | undefined> {
  try {
    const found = await lstat(path);
    if (!found.isFile()) throw outputIs(path, "exists and is not a regular file");
    return found;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw outputError("write to", path, error);
  }
}

function outputIs(path: string, what: string): MongotapError {
  return new MongotapError("output", `${path} ${what}`);
}

function unknownFile(path: string): MongotapError {
  return new MongotapError("output", `${path} exists and is not known to the state file`, {
    hint: "Move it away, choose another --out, or start over with --fresh.",
  });
}

function otherOutput(path: string): MongotapError {
  return new MongotapError("state", `the state file belongs to another output than ${path}; nothing was written`, {
    hint: "Use the --out of the earlier run, or another --state.",
  });
}
