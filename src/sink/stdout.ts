/**
 * Standard output. At-least-once: what the kernel has taken counts as delivered. No write blocks (pipe.ts), whatever
 * stdout is; why it is written in three ways is told in docs/decisions/201-stdout.md.
 */

import { constants, fstatSync, statSync, write } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { Writable } from "node:stream";
import { MongotapError } from "../errors.ts";
import { deliverUnblocked, PipeSink, type Deliver } from "./pipe.ts";
import type { Sink } from "./sink.ts";

export interface StdoutOptions {
  /** The descriptor of standard output: 1. */
  readonly fd: number;
  /** Called only where the descriptor cannot be used directly (sockets, systems without /proc): `process.stdout`. */
  readonly stream: () => Writable;
  /** Throw when stdout is closed or /dev/null: with a state file that would lose documents in silence. */
  readonly refuseNull: boolean;
}

/** @throws MongotapError `output` when `refuseNull` forbids what stdout is. */
export async function openStdoutSink(options: StdoutOptions): Promise<Sink> {
  if (options.refuseNull && isNull(options.fd)) {
    throw new MongotapError("output", "stdout is closed or /dev/null, and the state file would move on", {
      hint: "Give stdout a reader, use --out, or leave out --state.",
    });
  }
  const { deliver, handle } = await wayOut(options);
  return new PipeSink("stdout", deliver, handle);
}

async function wayOut({ fd, stream }: StdoutOptions): Promise<{ deliver: Deliver; handle?: FileHandle }> {
  const found = fstatSync(fd);
  if (found.isFile()) return { deliver: (bytes) => deliverToFile(fd, bytes) };
  if (found.isFIFO() || found.isCharacterDevice()) {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY;
    const handle = await open(`/proc/self/fd/${fd}`, flags).catch(() => undefined); // not Linux, or not allowed
    if (handle !== undefined) return { deliver: (bytes) => deliverUnblocked(handle.fd, bytes), handle };
  }
  return { deliver: deliverToStream(stream()) };
}

/** A redirection to a file shares its offset with the shell's other commands, so the descriptor itself is used. */
async function deliverToFile(fd: number, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    done += await new Promise<number>((accept, reject) => {
      write(fd, bytes, done, bytes.length - done, null, (error, count) => (error ? reject(error) : accept(count)));
    });
  }
}

function deliverToStream(stream: Writable): Deliver {
  stream.on("error", () => undefined); // told by the callback as well; without a listener it would end the process
  return (bytes) =>
    new Promise((accept, reject) => {
      stream.write(bytes, (error) => (error ? reject(error) : accept()));
    });
}

function isNull(fd: number): boolean {
  try {
    return fstatSync(fd).rdev === statSync("/dev/null").rdev && fstatSync(fd).isCharacterDevice();
  } catch {
    return false; // no /dev/null here
  }
}
