/**
 * The state file: where the source stands, and how much of each output goes with it. It is replaced as a whole or not at
 * all, and it is believed as a whole or not at all: an unreadable state ends the run, it never means "start over".
 */

import { createHash, randomBytes } from "node:crypto";
import { open, readdir, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import { MongotapError } from "../errors.ts";
import { syncDirectory } from "../lib/fs.ts";
import { reasonOf } from "../lib/fs.ts";
import type { OutputMark } from "../sink/sink.ts";
import type { Position } from "../source/record.ts";
import { readOwnFile } from "./own-file.ts";

/** Which cluster the positions belong to. */
export interface SourceIdentity {
  /** The name of the replica set, or of what stands for it. */
  readonly setName: string;
  /** The replica set's own id, where it can be read. */
  readonly setId?: string;
}

export interface Checkpoint {
  readonly formatVersion: 1;
  /** Grows by one with each save. */
  readonly seq: number;
  readonly source: SourceIdentity;
  /** What the user asked for, as option name → value text: with other values the position and the marks mean nothing. */
  readonly pipeline: Readonly<Record<string, string>>;
  readonly position: Position;
  readonly outputs: readonly OutputMark[];
}

const FORMAT_VERSION = 1;
/** States up to this length are tried out before they are saved: enough to find a mistake, too little to cost anything. */
const LONGEST_REHEARSED = 1 << 16;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const clusterTime = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/));

const positionSchema = v.strictObject({
  stream: v.exactOptional(
    v.strictObject({
      token: v.string(),
      resume: v.picklist(["resumeAfter", "startAfter"]),
      time: clusterTime,
      sequence: count,
      filter: v.exactOptional(v.array(v.string())),
    }),
  ),
  losses: v.exactOptional(count),
  collections: v.record(
    v.string(),
    v.strictObject({
      uuid: v.nullable(v.string()),
      phase: v.picklist(["pinned", "copying", "live", "stale"]),
      ranges: v.array(
        v.strictObject({
          from: v.exactOptional(v.string()),
          to: v.exactOptional(v.string()),
          partition: v.exactOptional(count),
          last: v.exactOptional(v.string()),
          done: v.boolean(),
          documents: count,
        }),
      ),
    }),
  ),
});

const outputKeySchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("collection"), namespace: v.string() }),
  v.strictObject({ kind: v.literal("partition"), namespace: v.string(), partition: count }),
  v.strictObject({ kind: v.literal("quarantine") }),
  v.strictObject({ kind: v.literal("everything") }),
]);

const checkpointSchema = v.strictObject({
  formatVersion: v.literal(FORMAT_VERSION),
  seq: count,
  source: v.strictObject({ setName: v.string(), setId: v.exactOptional(v.string()) }),
  pipeline: v.record(v.string(), v.string()),
  position: positionSchema,
  outputs: v.array(
    v.strictObject({
      path: v.string(),
      key: outputKeySchema,
      partial: v.exactOptional(v.picklist(["new", "replacing"])),
      bytes: count,
      lines: count,
      tailCrc: count,
      inode: v.number(),
      finalized: v.boolean(),
    }),
  ),
}) satisfies v.GenericSchema<Checkpoint>;

export interface LoadOptions {
  /** Only to look: the caller does not hold the lock, so nothing is cleaned up. */
  readonly readOnly?: boolean;
}

/**
 * Resolves to the state at `path`; `undefined` only when there is no such file. Removes the temporary files of crashed
 * saves, so the caller holds the lock of the state (or says `readOnly`).
 * @throws MongotapError `state` when there is anything there that is not a complete, unchanged state file of ours.
 */
export async function loadCheckpoint(path: string, options: LoadOptions = {}): Promise<Checkpoint | undefined> {
  if (options.readOnly !== true) await removeLeftovers(path);
  const text = await readOwnFile(path, unusable);
  return text === undefined ? undefined : parse(path, text);
}

/**
 * Resolves when `checkpoint` is at `path` and would survive a power cut; until then, and after an error, the state of
 * before is there. Never called concurrently for one path.
 * @throws MongotapError `output` when it cannot be written.
 */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const text = serialize(checkpoint);
  if (text.length <= LONGEST_REHEARSED) rehearse(path, text);
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(8).toString("hex")}.tmp`);
  try {
    await writeNew(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the news; cleaned by the next load
    throw unsaved(path, error);
  }
  await syncDirectory(directory).catch((error: unknown) => {
    throw unsaved(path, error);
  });
}

/** What differs between two fingerprints of a pipeline, one `name: old → new` each, for the text of an error. */
export function fingerprintDifference(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return names
    .filter((name) => before[name] !== after[name])
    .map((name) => `${name}: ${before[name] ?? "(not set)"} → ${after[name] ?? "(not set)"}`);
}

/** The text of a state file: readable JSON whose last member is a checksum of all that is before it. */
function serialize(checkpoint: Checkpoint | Readonly<Record<string, unknown>>): string {
  const rest = JSON.stringify(checkpoint, null, 1);
  return `${rest.slice(0, -2)},\n "checksum": "${checksumOf(rest)}"\n}\n`;
}

function checksumOf(rest: string): string {
  return `sha256:${createHash("sha256").update(rest).digest("hex")}`;
}

function parse(path: string, text: string): Checkpoint {
  if (text === "") throw unusable(path, "it is empty");
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch (error) {
    throw unusable(path, "it is not complete JSON (cut off or damaged)", error);
  }
  if (typeof whole !== "object" || whole === null) throw unusable(path, "it is not a state file of mongotap");
  const { checksum, ...rest } = whole as Record<string, unknown>;
  const version = rest["formatVersion"];
  if (typeof version !== "number") throw unusable(path, "it is not a state file of mongotap");
  if (version !== FORMAT_VERSION) {
    throw unusable(path, `it has format version ${version}, and this mongotap knows version ${FORMAT_VERSION} only`);
  }
  if (checksum !== checksumOf(JSON.stringify(rest, null, 1))) {
    throw unusable(path, "its checksum does not match: it was damaged or changed by hand");
  }
  const result = v.safeParse(checkpointSchema, rest);
  if (!result.success) {
    const issue = result.issues[0];
    throw unusable(path, `${v.getDotPath(issue) ?? "the document"}: ${issue.message}`);
  }
  if (serialize(rest) !== text) throw unusable(path, "it was reformatted or cut off at its end");
  return result.output;
}

/** @throws MongotapError `bug` when a field was added to a type above and not to its schema. */
function rehearse(path: string, text: string): void {
  try {
    parse(path, text);
  } catch (error) {
    throw new MongotapError("bug", `this state could be saved but not loaded: ${reasonOf(error)}`, { cause: error });
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.chmod(0o600); // whatever the umask made of it
    await writeFully(handle, Buffer.from(text));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
}

async function removeLeftovers(path: string): Promise<void> {
  const directory = dirname(path);
  const prefix = `.${basename(path)}.`;
  const names = await readdir(directory).catch(() => []); // no directory, no leftovers; reading the state says more
  for (const name of names) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{16}\.tmp$/.test(name.slice(prefix.length))) continue;
    await rm(join(directory, name), { force: true }).catch(() => undefined); // harmless where it is
  }
}

function unusable(path: string, why: string, cause?: unknown): MongotapError {
  return new MongotapError("state", `the state file ${path} cannot be used: ${why}; nothing was started over`, {
    cause,
  });
}

function unsaved(path: string, error: unknown): MongotapError {
  return new MongotapError("output", `cannot save the state file ${path}: ${reasonOf(error)}`, {
    hint: "Make room or correct the path, then run again: the state of before is intact.",
    cause: error,
  });
}
