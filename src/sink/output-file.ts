/**
 * One output file: appended to in whole pieces, made durable on demand, and always able to say how far.
 * Nobody else may write to it meanwhile; if somebody does, the next `append` or `flush` says so and nothing is recorded.
 */

import { constants } from "node:fs";
import { open, rename, stat, type FileHandle } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { changedOutside, outputError } from "./output-errors.ts";
import type { OutputMark } from "./sink.ts";
import type { WriteBehind } from "./write-behind.ts";
import { writePiece } from "./write-piece.ts";

/** So much is written before signals and sockets are looked after. */
const TURN = 1 << 20;
/** So much is left for the disk to do when everything has to be durable. */
const SYNC_EVERY = 32 << 20;
/** How much of the end of a file its mark vouches for. */
const TAIL = 1 << 16;
/** Windows has no such flag. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/** Where the bytes of a file are. */
export function currentPath(path: string, stage: { readonly partial?: OutputMark["partial"] }): string {
  return stage.partial === undefined ? path : `${path}.partial`;
}

/** CRC-32 of the last ≤ 64 KiB before `end`. */
export async function tailCrcOf(handle: FileHandle, end: number): Promise<number> {
  const tail = new Uint8Array(Math.min(TAIL, end));
  let filled = 0;
  while (filled < tail.length) {
    const { bytesRead } = await handle.read(tail, filled, tail.length - filled, end - tail.length + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return crc32(tail.subarray(0, filled));
}

export class OutputFile {
  readonly #behind: WriteBehind | undefined;
  /** What was true after the last `flush` or `giveName`. */
  #mark: OutputMark;
  #bytes: number;
  #lines: number;
  #handle: FileHandle | undefined;
  /** Bytes were written since the last flush. */
  #isDirty = false;
  /** Bytes written since the disk was last told to keep them. */
  #unsynced = 0;
  /** Resolves to the error with which the disk refused, or to nothing. */
  #syncing: Promise<Error | undefined> | undefined;

  /** A file that is where `mark` says and ends there, or one that `create` is going to make. */
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

  /** Where the bytes are now. */
  get place(): string {
    return currentPath(this.#mark.path, this.#mark);
  }

  /** Makes the file, empty; whatever is at its place is gone. `mode` is subject to the umask. */
  async create(mode: number): Promise<void> {
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | NO_FOLLOW;
    try {
      this.#handle = await open(this.place, flags, mode);
      await this.#handle.truncate(0); // not O_TRUNC: Deno refuses it together with O_APPEND
      this.#mark = { ...this.#mark, inode: (await this.#handle.stat()).ino };
    } catch (error) {
      throw outputError("create", this.place, error);
    }
  }

  /**
   * Appends whole lines. After an error the file ends with a whole line, if the disk allows it. What has to
   * be `durable` in the end is begun to be made so meanwhile; an error of that is told by the next flush. So is one of
   * what a thread of its own is still writing (write-behind.ts), if not by the next append.
   */
  async append(bytes: Uint8Array, lines: number, durable: boolean): Promise<void> {
    const handle = await this.#opened();
    if (!this.#isDirty) await this.#expectUntouched(handle);
    this.#isDirty = true;
    try {
      const place = { fd: handle.fd, path: this.place, begin: this.#bytes };
      if (this.#behind?.wants(bytes) === true) await this.#behind.append(place, bytes);
      else await writeFully(handle, bytes);
    } catch (error) {
      await cutTo(handle, this.#bytes).catch(() => undefined); // the next run cuts it back; the first error is the news
      throw outputError("write to", this.place, error);
    }
    this.#bytes += bytes.length;
    this.#lines += lines;
    this.#unsynced += bytes.length;
    if (durable && this.#unsynced >= SYNC_EVERY && this.#syncing === undefined) {
      this.#unsynced = 0;
      this.#syncing = this.#sync(handle);
    }
  }

  /** Resolves to the error with which the disk refused: after that it may say that all is well, and lie. */
  async #sync(handle: FileHandle): Promise<Error | undefined> {
    try {
      await handle.datasync();
      this.#syncing = undefined;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Resolves when everything appended would survive a power cut (`durable`), or is in the hands of the system. */
  async flush(durable: boolean): Promise<void> {
    if (!this.#isDirty) return;
    await this.#behind?.settled();
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
      throw outputError("make durable", this.place, error);
    }
    this.#isDirty = false;
  }

  /** Gives the file its own name. Durable only when the directory has been synced. */
  async giveName(sealed: boolean): Promise<void> {
    const { partial, ...named } = this.#mark;
    if (partial !== undefined) {
      try {
        await rename(this.place, named.path);
      } catch (error) {
        throw outputError(`rename ${this.place} to`, named.path, error);
      }
    }
    this.#mark = { ...named, sealed };
  }

  /** Gives the file handle back; the next `append` opens the file again. Flush first: a later error has no reader. */
  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await this.#syncing;
    await handle?.close();
  }

  async #opened(): Promise<FileHandle> {
    if (this.#handle !== undefined) return this.#handle;
    try {
      this.#handle = await open(this.place, constants.O_RDWR | constants.O_APPEND | NO_FOLLOW);
    } catch (error) {
      throw outputError("open", this.place, error);
    }
    return this.#handle;
  }

  /** Whether the name still leads to our file, and nobody but us has changed its length. */
  async #expectUntouched(handle: FileHandle): Promise<void> {
    const ours = await handle.stat();
    const named = await stat(this.place).catch(() => undefined);
    if (named === undefined || named.ino !== ours.ino || named.dev !== ours.dev) {
      throw changedOutside(this.place, "it was moved, removed or replaced");
    }
    if (ours.size !== this.#bytes) {
      throw changedOutside(this.place, `it should have ${this.#bytes} bytes and has ${ours.size}`);
    }
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0, turn = 0; done < bytes.length;) {
    const written = writePiece(handle.fd, bytes, done);
    done += written;
    turn += written;
    if (turn < TURN) continue;
    turn = 0;
    await setImmediate();
  }
}

async function cutTo(handle: FileHandle, bytes: number): Promise<void> {
  const { size } = await handle.stat();
  if (size > bytes) await handle.truncate(bytes);
}
