/** The state of a run: loaded and held against what was asked for, then saved with each commit. */

import type { ServerInfo } from "../connect/client.ts";
import { MongotapError } from "../errors.ts";
import type { OutputMark } from "../sink/sink.ts";
import type { Position } from "../source/record.ts";
import { type Checkpoint, fingerprintDifference, loadCheckpoint, saveCheckpoint, type SourceIdentity } from "../state/checkpoint.ts";

/** What was asked for, as option name → value text: a state is only good for the same again. */
export type Fingerprint = Readonly<Record<string, string>>;

export interface Keeping {
  readonly position: Position | undefined;
  readonly marks: readonly OutputMark[];
  save(position: Position, marks: readonly OutputMark[]): Promise<void>;
}

/**
 * Loads the state at `path`, unless the run starts `fresh`.
 * @throws MongotapError `state` when it was made by another command line
 */
export async function loadFor(path: string, fingerprint: Fingerprint, fresh: boolean): Promise<Checkpoint | undefined> {
  if (fresh) return undefined;
  const saved = await loadCheckpoint(path);
  if (!saved) return undefined;
  const differences = fingerprintDifference(saved.pipeline, fingerprint);
  if (differences.length > 0) {
    throw new MongotapError("state", `${path} was made by another command line: ${differences.join("; ")}`, {
      hint: "Run the same command again, use another --state, or start over with --fresh.",
    });
  }
  return saved;
}

/** @throws MongotapError `state` when the state belongs to another cluster than the one we are connected to */
export function keepAt(path: string, fingerprint: Fingerprint, saved: Checkpoint | undefined, server: ServerInfo): Keeping {
  const source = identityOf(server);
  if (saved) checkIdentity(path, saved.source, source);
  let seq = saved?.seq ?? 0;
  return {
    position: saved?.position,
    marks: saved?.outputs ?? [],
    async save(position, outputs) {
      seq += 1;
      await saveCheckpoint(path, { formatVersion: 1, seq, source, pipeline: fingerprint, position, outputs });
    },
  };
}

function identityOf({ setName, setId, topology }: ServerInfo): SourceIdentity {
  return { setName: setName === "" ? topology : setName, ...(setId === undefined ? {} : { setId }) };
}

function checkIdentity(path: string, saved: SourceIdentity, now: SourceIdentity): void {
  const same = saved.setName === now.setName && (saved.setId === undefined || now.setId === undefined || saved.setId === now.setId);
  if (same) return;
  throw new MongotapError("state", `${path} belongs to another cluster: ${textOf(saved)}, not ${textOf(now)}`, {
    hint: "Connect to the cluster that the state was made with, use another --state, or start over with --fresh.",
  });
}

function textOf({ setName, setId }: SourceIdentity): string {
  return setId === undefined ? setName : `${setName} (${setId})`;
}
