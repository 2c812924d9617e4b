/**
 * Measures the codec: MB of BSON per second on one core, and the ratio to the driver
 * (`deserialize` + `EJSON.stringify`, relaxed), on five shapes of documents. Runs under Bun, Deno and Node:
 *
 *   bun scripts/bench/codec.ts [--format relaxed|canonical|plain] [--rounds N] [--shape NAME]
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { deserialize, EJSON } from "bson";
import { readInt32 } from "../../src/codec/bson.ts";
import { JsonWriter } from "../../src/codec/json-writer.ts";
import { createTranscoder, type Format } from "../../src/codec/transcode.ts";
import { SHAPES } from "./codec-shapes.ts";

const { values } = parseArgs({
  options: {
    format: { type: "string", default: "relaxed" },
    rounds: { type: "string", default: "31" },
    shape: { type: "string" },
  },
});

/** Bytes of BSON of each shape: about what one server reply holds. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** The driver is slow and steady: a part of the batch is enough. */
const DRIVER_BYTES = 256 * 1024;

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

/**
 * MB per second of processor time, which other programs hardly influence and which includes the threads of the garbage
 * collector. `work` returns the number of bytes it has read.
 */
function speedOf(work: () => number): number {
  const begin = process.cpuUsage();
  const bytes = work();
  const { user, system } = process.cpuUsage(begin);
  return bytes / (user + system);
}

const runtime = "Bun" in globalThis ? "Bun" : "Deno" in globalThis ? "Deno" : "Node";
console.log(`${runtime}, ${format}: MB of BSON per second of one core, median of ${rounds} rounds`);
console.log("shape            bytes/doc   codec  driver   ratio");
let lowest = Infinity;
for (const shape of SHAPES) {
  if (values.shape !== undefined && values.shape !== shape.name) continue;
  const batch = shape.build(BATCH_BYTES);
  const ours = (): number => (transcodeBatch(batch), batch.length);
  const theirs = (): number => driverBatch(batch, DRIVER_BYTES);
  for (let warming = 0; warming < 5; warming++) ours();
  for (let warming = 0; warming < 3; warming++) theirs();
  const speeds: [number[], number[]] = [[], []];
  // In turn, so that both share the same load of the machine.
  for (let round = 0; round < rounds; round++) {
    speeds[0].push(speedOf(ours));
    speeds[1].push(speedOf(theirs));
  }
  const [codec, driver] = [median(speeds[0]), median(speeds[1])];
  lowest = Math.min(lowest, codec / driver);
  const column = (value: number, width: number, digits: number): string => value.toFixed(digits).padStart(width);
  console.log(
    `${shape.name.padEnd(16)} ${column(readInt32(batch, 0), 9, 0)} ${column(codec, 7, 0)} ${column(driver, 7, 1)}` +
      ` ${column(codec / driver, 6, 1)}×`,
  );
}
process.exitCode = lowest < 6 ? 1 : 0;
