/**
 * The state file: the position of the source, and how much of each output belongs to it. It is replaced as a whole or
 * not at all, and believed as a whole or not at all: a state that cannot be read ends the run, it never means "start
 * over".
 */

import { stat } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";

import * as v from "valibot";
import { MongotapError } from "../errors.ts";
import { checksumOf, removeTemporaries, replaceFile } from "../lib/atomic-file.ts";
import { reasonOf } from "../lib/fs.ts";
import { mismatchText } from "../lib/mismatch.ts";
import { isClusterTime } from "../source/record.ts";
import { readTrustedFile } from "./trusted-file.ts";

const FORMAT_VERSION = 2;

export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const clusterTime = v.pipe(v.string(), v.guard(isClusterTime));
const uuid = v.nullable(v.string());

const binding = v.strictObject({
  db: v.string(),
  collection: v.exactOptional(v.string()),
  except: v.exactOptional(v.array(v.string())),
});

const range = v.strictObject({
  from: v.exactOptional(v.string()),
  to: v.exactOptional(v.string()),
  partition: v.exactOptional(count),
  last: v.exactOptional(v.string()),
  done: v.boolean(),
  documents: count,
});

export const collectionState = v.variant("phase", [
  v.strictObject({ phase: v.literal("pinned"), uuid, copy: v.exactOptional(count) }),
  v.strictObject({
    phase: v.literal("copying"),
    uuid,
    copy: v.exactOptional(count),
    ranges: v.tupleWithRest([range], range),
  }),
  v.strictObject({ phase: v.literal("live"), copied: v.strictObject({ documents: count, ranges: count }) }),
  v.strictObject({ phase: v.literal("stale"), voided: v.boolean() }),
  v.strictObject({ phase: v.literal("unbound") }),
]);

export const streamPosition = v.strictObject({
  token: v.string(),
  resume: v.picklist(["resumeAfter", "startAfter"]),
  time: clusterTime,
  sequence: count,
  filter: v.exactOptional(v.array(binding)),
});

/** Of the type Position. */
const position = v.strictObject({
  stream: v.exactOptional(streamPosition),
  losses: v.exactOptional(count),
  copies: v.exactOptional(count),
  collections: v.record(v.string(), collectionState),
});

const outputKey = v.variant("kind", [
  v.strictObject({ kind: v.literal("collection"), namespace: v.string() }),
  v.strictObject({ kind: v.literal("partition"), namespace: v.string(), partition: count }),
  v.strictObject({ kind: v.literal("quarantine") }),
  v.strictObject({ kind: v.literal("everything") }),
]);

/** Of the type OutputMark. */
const output = v.strictObject({
  path: v.string(),
  key: outputKey,
  partial: v.exactOptional(v.picklist(["new", "replacing"])),
  bytes: count,
  lines: count,
  tailCrc: count,
  inode: v.number(),
  finalized: v.boolean(),
});

/** What the user asked for. With other values the position and the marks of the outputs mean nothing. */
const fingerprint = v.strictObject({
  command: v.string(),
  /** Sorted by their text. */
  namespaces: v.array(binding),
  format: v.string(),
  arrays: v.string(),
  documents: v.string(),
  fullDocument: v.string(),
  before: v.string(),
  envelope: v.string(),
  out: v.string(),
  split: v.boolean(),
  shard: v.exactOptional(v.strictObject({ index: count, of: count })),
});

/** Which cluster the positions belong to. */
export const source = v.strictObject({
  /** The name of the replica set; elsewhere the kind of the cluster. */
  setName: v.string(),
  /** The replica set's own id, where it can be read. */
  setId: v.exactOptional(v.string()),
});

const checkpointSchema = v.strictObject({
  formatVersion: v.literal(FORMAT_VERSION),
  /** Grows by one with each save. */
  seq: count,
  source,
  fingerprint,
  position,
  outputs: v.array(output),
});

/** What a state file holds. A test asserts that `position` is a Position and `outputs` are OutputMarks, field by field. */
export interface Checkpoint extends DeepReadonly<v.InferOutput<typeof checkpointSchema>> {}
export interface SourceIdentity extends DeepReadonly<v.InferOutput<typeof source>> {}
export interface Fingerprint extends DeepReadonly<v.InferOutput<typeof fingerprint>> {}

export type DeepReadonly<T> = T extends string | number | boolean | null
  ? T
  : { readonly [K in keyof T]: DeepReadonly<T[K]> };

export interface LoadOptions {
  /** The caller does not hold the lock of the state, so nothing is removed. */
  readonly readOnly?: boolean;
}

/**
 * Resolves to the state at `path`; `undefined` only when there is no such file. Removes the temporary files of crashed
 * saves, so the caller holds the lock of the state (or sets `readOnly`).
 * @throws MongotapError `state` when what is there is not a complete, unchanged state file of ours
 */
export async function loadCheckpoint(path: string, options: LoadOptions = {}): Promise<Checkpoint | undefined> {
  if (options.readOnly !== true) await removeTemporaries(path);
  const text = await readTrustedFile(path, unusable);
  return text === undefined ? undefined : parse(path, text);
}

/**
 * Resolves when `checkpoint` is at `path` and would survive a power cut; until then, and after an error, `path` has the
 * state of before or `checkpoint`, as a whole. The caller holds the lock of the state.
 * @throws MongotapError `output` when it cannot be written
 */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  try {
    await replaceFile(path, serialize(checkpoint));
  } catch (error) {
    throw unsaved(path, error);
  }
}

/** When the state at `path` was saved; undefined if the file cannot be read. */
export async function timeOfCheckpoint(path: string): Promise<Date | undefined> {
  try {
    return (await stat(path)).mtime;
  } catch {
    return undefined;
  }
}

/** An option whose values in two fingerprints differ. */
export interface Difference {
  readonly name: keyof Fingerprint;
  readonly before: Fingerprint[keyof Fingerprint];
  readonly after: Fingerprint[keyof Fingerprint];
}

/** The options whose values differ, sorted by name. */
export function differences(before: Fingerprint, after: Fingerprint): Difference[] {
  return v
    .keyof(fingerprint)
    .options.toSorted()
    .filter((name) => !isDeepStrictEqual(before[name], after[name]))
    .map((name) => ({ name, before: before[name], after: after[name] }));
}

/** The text of a state file: readable JSON whose last member is a checksum of all that is before it. */
function serialize(checkpoint: Checkpoint | Readonly<Record<string, unknown>>): string {
  const rest = JSON.stringify(checkpoint, null, 1);
  return `${rest.slice(0, -2)},\n "checksum": "${checksumOf(rest)}"\n}\n`;
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
    throw unusable(path, `it ${mismatchText({ ...issue, path: v.getDotPath(issue) })}`);
  }
  if (serialize(rest) !== text) throw unusable(path, "it was reformatted or cut off at its end");
  return result.output;
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
