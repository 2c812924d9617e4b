/**
 * One output file: whole lines are appended, made durable on demand, and its mark says how much is. No other program may
 * write to it: if one does, the next `append` or `flush` throws and the mark stays as it was.
 */

import { constants } from "node:fs";
import { open, rename, stat, type FileHandle } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { changedOutside, outputError } from "./errors.ts";
import type { OutputMark } from "./sink.ts";
import { writeSome } from "./write.ts";
import type { WriteBehind } from "./write-behind.ts";

/** This thread writes this many bytes before it lets signals and sockets have a turn. */
const BYTES_PER_TURN = 1 << 20;
/** The disk starts to sync in the background after this many bytes, so that `flush` waits for little. */
const BYTES_PER_SYNC = 32 << 20;
/** The most bytes that `tailCrc` covers. */
const TAIL_BYTES = 1 << 16;
/** Windows has no such flag. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/** Returns the path of the file by its mark. After a crash it may have its own name already (recover.ts). */
export function currentPathOf({ path, partial }: Pick<OutputMark, "path" | "partial">): string {
  return partial === undefined ? path : `${path}.partial`;
}

/** Resolves to the CRC-32 of the last 64 KiB before `end`, or of all bytes where there are fewer. */
export async function tailCrcOf(handle: FileHandle, end: number): Promise<number> {
  const tail = new Uint8Array(Math.min(TAIL_BYTES, end));
  let filled = 0;
  while (filled < tail.length) {
    const { bytesRead } = await handle.read(tail, filled, tail.length - filled, end - tail.length + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return crc32(tail.subarray(0, filled));
}

export interface FileLength {
  readonly bytes: number;
  readonly lines: number;
}

export class OutputFile {
  readonly #behind: WriteBehind | undefined;
  /** As of the last `create`, `flush` or `giveName`. */
  #mark: OutputMark;
  #bytes: number;
  #lines: number;
  #handle: FileHandle | undefined;
  /** Bytes were appended since the last flush. */
  #isDirty = false;
  /** Bytes appended since the last sync began. */
  #unsynced = 0;
  /** The sync that runs in the background, or has failed. */
  #syncing: Promise<Error | undefined> | undefined;

  /** The file exists and ends at `mark`, or `create` is going to make it. */
  constructor(mark: OutputMark, behind: WriteBehind | undefined) {
    this.#mark = mark;
    this.#behind = behind;
    this.#bytes = mark.bytes;
    this.#lines = mark.lines;
  }

  /** What is durable. */
  get mark(): OutputMark {
    return this.#mark;
  }

  get currentPath(): string {
    return currentPathOf(this.#mark);
  }

  /** Makes the file, empty; a file at its current path is truncated. `mode` is subject to the umask. */
  async create(mode: number): Promise<void> {
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | NO_FOLLOW;
    try {
      this.#handle = await open(this.currentPath, flags, mode);
      await this.#handle.truncate(0); // not O_TRUNC: Deno refuses it together with O_APPEND
      this.#mark = { ...this.#mark, inode: (await this.#handle.stat()).ino };
    } catch (error) {
      throw outputError("create", this.currentPath, error);
    }
  }

  /**
   * Appends whole lines. With `durable`, which says that `flush(true)` will follow, the disk starts to sync them now and
   * then in the background. After an error the file ends with a whole line, if the disk allows it.
   * @throws MongotapError `output`; for bytes that go through the thread of write-behind.ts, the error may come with a
   *   later append to any file, or with `flush`; that of a background sync comes with `flush`
   */
  async append(bytes: Uint8Array, lines: number, durable: boolean): Promise<void> {
    const handle = await this.#opened();
    if (!this.#isDirty) await this.#expectUntouched(handle);
    this.#isDirty = true;
    try {
      const end = { fd: handle.fd, path: this.currentPath, begin: this.#bytes };
      if (this.#behind?.takes(bytes.length) === true) await this.#behind.append(end, bytes);
      else await writeFully(handle, bytes);
    } catch (error) {
      // Where this fails too, the next run truncates the file. The first error is the one to report.
      await truncateTo(handle, this.#bytes).catch(() => undefined);
      throw outputError("write to", this.currentPath, error);
    }
    this.#bytes += bytes.length;
    this.#lines += lines;
    this.#unsynced += bytes.length;
    if (durable && this.#unsynced >= BYTES_PER_SYNC && this.#syncing === undefined) {
      this.#unsynced = 0;
      this.#syncing = this.#sync(handle);
    }
  }

  /** Resolves to the error, and stays in `#syncing` with it: after a failed sync, the next may succeed although bytes are lost. */
  async #sync(handle: FileHandle): Promise<Error | undefined> {
    try {
      await handle.datasync();
      this.#syncing = undefined;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /**
   * Resolves when the operating system has all appended bytes, durably with `durable`; the mark covers them then.
   * @throws MongotapError `output`
   */
  async flush(durable: boolean): Promise<void> {
    if (!this.#isDirty) return;
    await this.#behind?.written();
    const handle = await this.#opened();
    await this.#expectUntouched(handle);
    try {
      const failure = await this.#syncing;
      if (failure !== undefined) throw failure;
      if (durable) await handle.datasync();
      this.#unsynced = 0;
      const tailCrc = await tailCrcOf(handle, this.#bytes);
      this.#mark = { ...this.#mark, bytes: this.#bytes, lines: this.#lines, tailCrc };
    } catch (error) {
      throw outputError("make durable", this.currentPath, error);
    }
    this.#isDirty = false;
  }

  /** Where the file ends, counting the bytes that are still on their way. */
  get end(): FileLength {
    return { bytes: this.#bytes, lines: this.#lines };
  }

  /**
   * Cuts the file back to an earlier `end`, durably with `durable`; the mark is of that end then.
   * @throws MongotapError `output`
   */
  async cutBack({ bytes, lines }: FileLength, durable: boolean): Promise<void> {
    await this.#behind?.written();
    const handle = await this.#opened();
    await this.#expectUntouched(handle);
    try {
      await handle.truncate(bytes);
    } catch (error) {
      throw outputError("cut back", this.currentPath, error);
    }
    this.#bytes = bytes;
    this.#lines = lines;
    this.#isDirty = true;
    await this.flush(durable);
  }

  /** Gives the file its own name, which is durable when its directory has been synced. @throws MongotapError `output` */
  async giveName(finalized: boolean): Promise<void> {
    const { partial, ...named } = this.#mark;
    if (partial !== undefined) {
      try {
        await rename(this.currentPath, named.path);
      } catch (error) {
        throw outputError(`rename ${this.currentPath} to`, named.path, error);
      }
    }
    this.#mark = { ...named, finalized };
  }

  /** Closes the file handle; the next `append` opens the file again. Flush first, or errors of appended bytes are lost. */
  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await this.#syncing;
    await handle?.close();
  }

  async #opened(): Promise<FileHandle> {
    if (this.#handle !== undefined) return this.#handle;
    try {
      this.#handle = await open(this.currentPath, constants.O_RDWR | constants.O_APPEND | NO_FOLLOW);
    } catch (error) {
      throw outputError("open", this.currentPath, error);
    }
    return this.#handle;
  }

  /** @throws MongotapError `output` when another file has the name, or another program has changed the length */
  async #expectUntouched(handle: FileHandle): Promise<void> {
    const ours = await handle.stat();
    const named = await stat(this.currentPath).catch(() => undefined);
    if (named === undefined || named.ino !== ours.ino || named.dev !== ours.dev) {
      throw changedOutside(this.currentPath, "it was moved, removed or replaced");
    }
    if (ours.size !== this.#bytes) {
      throw changedOutside(this.currentPath, `it should have ${this.#bytes} bytes and has ${ours.size}`);
    }
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0, turn = 0; done < bytes.length;) {
    const written = writeSome(handle.fd, bytes, done);
    done += written;
    turn += written;
    if (turn < BYTES_PER_TURN) continue;
    turn = 0;
    await setImmediate();
  }
}

async function truncateTo(handle: FileHandle, bytes: number): Promise<void> {
  const { size } = await handle.stat();
  if (size > bytes) await handle.truncate(bytes);
}
