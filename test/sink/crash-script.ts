/**
 * A pump in miniature for files.fault.test.ts: writes a fixed sequence of batches, commits now and then, and goes on
 * where the state says. Whatever happens to it, run to its end it leaves the files of an undisturbed run.
 */

import { MongotapError } from "../../src/errors.ts";
import { outputKeyOf } from "../../src/lib/output-key.ts";
import { openFileSink } from "../../src/sink/files.ts";
import type { OutputMark, Segment } from "../../src/sink/sink.ts";
import { createWriteBehind } from "../../src/sink/write-behind.ts";
import { loadCheckpoint, saveCheckpoint } from "../../src/state/checkpoint.ts";
import { BEGINNING } from "../../src/source/record.ts";
import { FINGERPRINT } from "../support/states.ts";

export const SCRIPT = import.meta.filename;

export interface CrashJob {
  readonly kind: "file" | "directory";
  readonly finalizes: boolean;
  readonly out: string;
  readonly state: string;
  readonly batches: number;
  /** By a thread of its own. */
  readonly isBehind: boolean;
  /** The number of batches between commits. */
  readonly commitEvery: number;
}

/** The lines of batch `index`: some of one collection, some interleaved, and new collections as time goes by. */
export function batchOf(index: number): readonly (readonly [namespace: string, line: string])[] {
  const collections = 1 + Math.floor(index / 20);
  return Array.from({ length: 1 + ((index * 7) % 13) }, (_, row) => {
    const namespace = `app.c${(index * 3 + row * row) % collections}`;
    return [namespace, `${index}.${row} ${"x".repeat((index * 31 + row * 17) % 400)}\n`];
  });
}

async function run(job: CrashJob): Promise<void> {
  const saved = await loadCheckpoint(job.state);
  await using sink = await openFileSink({
    target: { kind: job.kind, path: job.out },
    marks: saved?.outputs ?? [],
    finalizes: job.finalizes,
    replace: false,
    hasState: true,
    behind: job.isBehind ? createWriteBehind({ minBytes: 0, startAfterBytes: 0 }) : undefined,
  });
  let seq = saved?.seq ?? 0;
  const save = async (sequence: number, outputs: readonly OutputMark[]): Promise<void> => {
    seq += 1;
    const stream = { token: "", resume: "resumeAfter", time: BEGINNING, sequence } as const;
    const position = { stream, collections: {} };
    const source = { setName: "rs0" };
    await saveCheckpoint(job.state, { formatVersion: 2, seq, source, fingerprint: FINGERPRINT, position, outputs });
    await sink.onStateSaved();
  };
  const first = saved?.position.stream?.sequence ?? 0;
  for (let index = first; index < job.batches; index += 1) {
    const batch = batchOf(index);
    let end = 0;
    const segments: Segment[] = batch.map(([namespace, line]) => {
      const begin = end;
      end += line.length;
      return { key: outputKeyOf(namespace), begin, end, lines: 1 };
    });
    await sink.write(Buffer.from(batch.map(([, line]) => line).join("")), segments);
    if ((index + 1) % job.commitEvery === 0) await save(index + 1, await sink.flush());
  }
  await save(job.batches, await sink.flush());
  await save(job.batches, await sink.finalize());
}

if (import.meta.main) {
  try {
    await run(JSON.parse(process.argv[2] ?? "") as CrashJob);
  } catch (error) {
    if (!(error instanceof MongotapError)) throw error;
    console.error(`${error.kind}: ${error.message}`);
    process.exitCode = error.exitCode;
  }
}
