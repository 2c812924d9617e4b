/** The state of a run: loaded and compared with what the user asked for, then saved with each commit. */

import type { ServerInfo } from "../connect/client.ts";
import { MongotapError } from "../errors.ts";
import type { OutputMark } from "../sink/sink.ts";
import { bindingText, isBound, nameToNamespace } from "../source/bindings.ts";
import type { Binding, CollectionState, Position } from "../source/record.ts";
import {
  type Checkpoint,
  type Difference,
  differences,
  type Fingerprint,
  loadCheckpoint,
  saveCheckpoint,
} from "../state/checkpoint.ts";
import { checkIdentity, identityOf } from "./source-identity.ts";

export interface CheckpointStore {
  readonly position: Position | undefined;
  readonly marks: readonly OutputMark[];
  save(position: Position, marks: readonly OutputMark[]): Promise<void>;
}

export interface ExpectedRun {
  readonly fingerprint: Fingerprint;
  readonly fresh: boolean;
  /** --accept-change: the user wants the options that differ. */
  readonly acceptChange: boolean;
}

type Option = keyof Fingerprint;

/** By command, the options that may differ: a capture or tail may read more or less than before. */
const MAY_CHANGE: Readonly<Record<string, readonly Option[]>> = { capture: ["namespaces"], tail: ["namespaces"] };
/** Refused also with --accept-change: the ranges of one shard, or of one file, are not those of another. */
const MUST_NOT_CHANGE: readonly Option[] = ["command", "shard", "split"];

/**
 * Loads the state at `path`, unless the run starts `fresh`; undefined where there is none. Where --out has changed, the
 * state comes without the marks of the former outputs.
 * @throws MongotapError `state` when it was made by another command line, or cannot be used
 */
export async function loadMatching(
  path: string,
  { fingerprint, fresh, acceptChange }: ExpectedRun,
): Promise<Checkpoint | undefined> {
  if (fresh) return undefined;
  const saved = await loadCheckpoint(path);
  if (!saved) return undefined;
  const allowed = MAY_CHANGE[fingerprint.command] ?? [];
  const isRefused = ({ name }: Difference): boolean =>
    MUST_NOT_CHANGE.includes(name) || (!acceptChange && !allowed.includes(name));
  const changes = differences(saved.fingerprint, fingerprint);
  if (changes.some(isRefused)) {
    throw new MongotapError(
      "state",
      `${path} was made by another command line: ${changes.map(changeText).join("; ")}`,
      {
        hint: "Run the same command again, use another --state, say --accept-change, or start over with --fresh.",
      },
    );
  }
  return saved.fingerprint.out === fingerprint.out ? saved : { ...saved, outputs: [] };
}

function changeText({ name, before, after }: Difference): string {
  return `${name}: ${valueText(before)} → ${valueText(after)}`;
}

function valueText(value: Difference["before"]): string {
  if (value === undefined || value === false) return "(not set)";
  if (value === true) return "yes";
  if (typeof value === "string") return value;
  return "of" in value ? `${value.index}/${value.of}` : JSON.stringify(value.map(bindingText));
}

/** A saved state for the bindings of this run, and the collections that an earlier run read and this one does not. */
export interface Rebound {
  readonly saved: Checkpoint;
  readonly left: readonly string[];
}

/**
 * A collection that is no longer bound is `unbound`, because its lines are still in the output: one that is bound again is
 * `stale`. A backfill forgets it.
 */
export function rebind(found: Checkpoint, bindings: readonly Binding[]): Rebound {
  const { collections } = found.position;
  const left: string[] = [];
  const kept = Object.entries(collections).flatMap(([name, state]): [string, CollectionState][] => {
    const wasBound = state.phase !== "unbound";
    if (isBound(bindings, nameToNamespace(name))) return [[name, wasBound ? state : { phase: "stale", voided: false }]];
    if (wasBound) left.push(name);
    return found.fingerprint.command === "capture" ? [[name, { phase: "unbound" }]] : [];
  });
  return {
    saved: { ...found, position: { ...found.position, collections: Object.fromEntries(kept) } },
    left,
  };
}

/** What the earlier run read and this one does not, for messages: bindings, and collections of bindings that remain. */
export function leftOut({ saved, left }: Rebound, bindings: readonly Binding[]): string[] {
  const gone = saved.fingerprint.namespaces.filter(({ db, collection }) =>
    collection === undefined ? !bindings.some((b) => b.db === db) : !isBound(bindings, { db, collection }),
  );
  const others = left.filter((name) => !isBound(gone, nameToNamespace(name)));
  return [...gone.map(bindingText), ...others];
}

/** @throws MongotapError `state` when `saved` belongs to another cluster than `server` */
export function openCheckpointStore(
  path: string,
  fingerprint: Fingerprint,
  saved: Checkpoint | undefined,
  server: ServerInfo,
): CheckpointStore {
  const source = identityOf(server);
  if (saved) checkIdentity(path, saved.source, source, "use another --state, or start over with --fresh");
  let seq = saved?.seq ?? 0;
  return {
    position: saved?.position,
    marks: saved?.outputs ?? [],
    async save(position, outputs) {
      seq += 1;
      await saveCheckpoint(path, { formatVersion: 2, seq, source, fingerprint, position, outputs });
    },
  };
}
