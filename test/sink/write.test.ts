import { expect, test } from "bun:test";
import { EVERYTHING, idOf, type OutputKey, outputKeyOf } from "../../src/lib/output-key.ts";
import type { Segment } from "../../src/sink/sink.ts";
import { gather } from "../../src/sink/write.ts";

const A = outputKeyOf("app.a");
const B = outputKeyOf("app.b");

/** The bytes and segments of one batch with a line for each pair. */
function batchOf(...lines: readonly (readonly [key: OutputKey, text: string])[]): [Uint8Array, Segment[]] {
  let end = 0;
  const segments = lines.map(([key, text]) => {
    const begin = end;
    end += text.length;
    return { key, begin, end, lines: 1 };
  });
  return [Buffer.from(lines.map(([, text]) => text).join("")), segments];
}

function textOf(slices: ReturnType<typeof gather>): unknown {
  return slices.map(({ key, bytes, lines }) => [idOf(key), Buffer.from(bytes).toString(), lines]);
}

test("gather() returns a slice for each key, with its lines in order", () => {
  const batch = batchOf([A, "1"], [A, "2"], [B, "x"], [A, "3"], [B, "y"]);
  expect(textOf(gather(...batch))).toEqual([
    [idOf(A), "123", 3],
    [idOf(B), "xy", 2],
  ]);
});

test("gather() takes equal keys for the same output, whether or not they are one object", () => {
  const batch = batchOf([A, "1"], [B, "x"], [structuredClone(A), "2"], [B, "y"], [structuredClone(A), "3"], [A, "4"]);
  expect(textOf(gather(...batch))).toEqual([
    [idOf(A), "1234", 4],
    [idOf(B), "xy", 2],
  ]);
});

test("gather() with a single key returns one slice, whatever the keys of the segments are", () => {
  const [bytes, segments] = batchOf([A, "1"], [B, "x"], [A, "2"]);
  const slices = gather(bytes, segments, EVERYTHING);
  expect(textOf(slices)).toEqual([[idOf(EVERYTHING), "1x2", 3]]);
  expect(slices[0]?.bytes.buffer).toBe(bytes.buffer);
  expect(gather(bytes, [], EVERYTHING)).toEqual([]);
});

test("gather() copies only what is interleaved, and leaves out what no segment has", () => {
  const [bytes, segments] = batchOf([A, "1"], [A, "2"], [B, "x"], [B, "y"], [A, "3"]);
  const [a, b] = gather(bytes, segments);
  expect(a?.bytes.buffer).not.toBe(bytes.buffer);
  expect(b?.bytes.buffer).toBe(bytes.buffer);
  expect(textOf(gather(bytes, segments.slice(1, 3)))).toEqual([
    [idOf(A), "2", 1],
    [idOf(B), "x", 1],
  ]);
});
