/** Sinks for the tests of this folder: short ways to open, write and look. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Kind, MongotapError } from "../../src/errors.ts";
import { type OutputKey, outputKeyOf } from "../../src/lib/output-key.ts";
import { type FileSinkOptions, openFileSink } from "../../src/sink/files.ts";
import type { Sink } from "../../src/sink/sink.ts";

/** A directory of its own for a test, gone afterwards. */
export function scratch(): Disposable & { readonly path: string; at(name: string): string } {
  const path = mkdtempSync(join(tmpdir(), "mongotap-sink-"));
  return {
    path,
    at: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A file of a capture with a state, unless `options` say otherwise. */
export function openFile(path: string, options: Partial<FileSinkOptions> = {}): Promise<Sink> {
  return openFileSink({
    target: { kind: "file", path },
    marks: [],
    finalizes: false,
    replace: false,
    hasState: true,
    ...options,
  });
}

/** The directory of a capture with a state, unless `options` say otherwise. */
export function openDirectory(path: string, options: Partial<FileSinkOptions> = {}): Promise<Sink> {
  return openFile(path, { target: { kind: "directory", path }, ...options });
}

/** Writes pairs of an output and its text in one call; a string is a collection. */
export async function put(
  sink: Sink,
  ...parts: readonly (readonly [output: string | OutputKey, text: string])[]
): Promise<void> {
  let end = 0;
  const segments = parts.map(([output, text]) => {
    const begin = end;
    end += Buffer.byteLength(text);
    const key = typeof output === "string" ? outputKeyOf(output) : output;
    return { key, begin, end, lines: text.split("\n").length - 1 };
  });
  await sink.write(Buffer.from(parts.map(([, text]) => text).join("")), segments);
}

/** Every file below `directory` with its content. */
export function contents(directory: string): Record<string, string> {
  const files = readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  const names = files.map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1)).toSorted();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, name), "utf8")]));
}

/** The error that `work` ends in; fails where there is none, or none of ours. */
export async function failureOf(work: Promise<unknown>): Promise<{ kind: Kind; message: string; hint: string }> {
  try {
    await work;
  } catch (error) {
    if (error instanceof MongotapError) return { kind: error.kind, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error("it did not fail");
}
