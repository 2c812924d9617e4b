/**
 * How fast the codec is: MB of BSON per second on one core, and how many times as fast as the driver's own way
 * (`deserialize` + `EJSON.stringify`, relaxed), on five shapes of documents. Runs under Bun, Deno and Node:
 *
 *   bun scripts/bench-codec.ts [--format relaxed|canonical|plain] [--rounds N] [--shape NAME]
 */

import { performance } from "node:perf_hooks";
import process from "node:process";
import { parseArgs } from "node:util";
import { deserialize, EJSON } from "bson";
import { readInt32 } from "../src/codec/bson.ts";
import { JsonWriter } from "../src/codec/json-writer.ts";
import { createTranscoder, type Format } from "../src/codec/transcode.ts";
import { SHAPES } from "./bench-shapes.ts";

const { values } = parseArgs({
  options: {
    format: { type: "string", default: "relaxed" },
    rounds: { type: "string", default: "15" },
    shape: { type: "string" },
  },
});

/** Bytes of BSON of each shape: about what one server reply holds. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** The driver's way is slow and steady: a part of the batch tells its speed. */
const DRIVER_BYTES = 1024 * 1024;

const format = values.format as Format;
const rounds = Number(values.rounds);
const transcoder = createTranscoder({ format });
const writer = new JsonWriter();

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;
}

/** Transcodes the whole batch once and returns the bytes of JSON. */
function transcodeBatch(batch: Uint8Array): number {
  writer.reset();
  for (let at = 0; at < batch.length; at += readInt32(batch, at)) {
    transcoder.writeDocument(writer, batch, at);
    writer.writeByte(10);
  }
  return writer.length;
}

/** Does the same as users of the driver do, for about `limit` bytes; returns the bytes of BSON that were read. */
function driverBatch(batch: Uint8Array, limit: number): number {
  let at = 0;
  while (at < batch.length && at < limit) {
    const end = at + readInt32(batch, at);
    EJSON.stringify(deserialize(batch.subarray(at, end), { promoteValues: true }), { relaxed: format !== "canonical" });
    at = end;
  }
  return at;
}

/** MB/s of each round: `work` returns how many bytes it has read. */
function speeds(count: number, work: () => number): number[] {
  const result = [];
  for (let round = 0; round < count; round++) {
    const begin = performance.now();
    const bytes = work();
    result.push(bytes / 1e3 / (performance.now() - begin));
  }
  return result;
}

const runtime = "Bun" in globalThis ? "Bun" : "Deno" in globalThis ? "Deno" : "Node";
console.log(`${runtime}, ${format}, median of ${rounds} rounds`);
console.log("shape            bytes/doc   MB/s   driver   ratio");
let slowest = Infinity;
for (const shape of SHAPES) {
  if (values.shape !== undefined && values.shape !== shape.name) continue;
  const batch = shape.build(BATCH_BYTES);
  // One round of each in turn, so that both see the same neighbours on the machine.
  speeds(3, () => (transcodeBatch(batch), batch.length));
  speeds(1, () => driverBatch(batch, DRIVER_BYTES));
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(...speeds(1, () => (transcodeBatch(batch), batch.length)));
    theirs.push(...speeds(1, () => driverBatch(batch, DRIVER_BYTES)));
  }
  const ratio = median(ours) / median(theirs);
  slowest = Math.min(slowest, ratio);
  console.log(
    `${shape.name.padEnd(16)} ${String(readInt32(batch, 0)).padStart(9)} ${median(ours).toFixed(0).padStart(6)}` +
      ` ${median(theirs).toFixed(1).padStart(8)} ${ratio.toFixed(1).padStart(6)}×`,
  );
}
process.exitCode = slowest < 6 ? 1 : 0;
