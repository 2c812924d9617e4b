/** The proof of the demo must fail when it should: each test plants one fault in a correct file. */

import { expect, test } from "bun:test";
import { examine, type Verdict } from "../../scripts/demo/proof.ts";

const [A, B] = ["a".repeat(24), "b".repeat(24)] as const;

function line(key: string, op: string, order: string, version: number, more = ""): string {
  const body = op === "d" ? "" : `,"v":${version}`;
  return `{"_id":{"$oid":"${key}"}${body},"_meta":{"op":"${op}"${more},"order":"${order}"}}`;
}

/** A and B are copied, then A is changed, B deleted and inserted again. */
const GOOD = [
  line(A, "c", "01", 1, ',"snapshot":true'),
  line(B, "c", "01", 1, ',"snapshot":true'),
  line(A, "u", "02", 2),
  line(B, "d", "03", 0),
  line(B, "c", "04", 3),
];

function verdictOn(lines: readonly string[], text = lines.map((one) => `${one}\n`).join("")): Verdict {
  const bytes = new TextEncoder().encode(text);
  return examine(bytes, {
    ledger: new Map([
      [A, "u"],
      [B, "dc"],
    ]),
    collection: new Map([
      [A, `{"_id":{"$oid":"${A}"},"v":2}`],
      [B, `{"_id":{"$oid":"${B}"},"v":3}`],
    ]),
    state: { committedBytes: bytes.length, committedLines: lines.length, rows: 2 },
  });
}

const faultsOf = (verdict: Verdict): string[] => verdict.claims.flatMap(({ faults }) => faults);

test("examine() finds nothing wrong with a good file", () => {
  const verdict = verdictOn(GOOD);
  expect(faultsOf(verdict)).toEqual([]);
  expect([verdict.lines, verdict.rows, verdict.events]).toEqual([5, 2, { c: 1, u: 1, d: 1 }]);
});

for (const [index, what] of ["row", "row", "update", "delete", "insert"].entries()) {
  test(`examine() notices a lost ${what}, line ${index + 1}`, () => {
    expect(faultsOf(verdictOn(GOOD.toSpliced(index, 1)))).not.toEqual([]);
  });
  test(`examine() notices a doubled ${what}, line ${index + 1}`, () => {
    expect(faultsOf(verdictOn(GOOD.toSpliced(index, 0, GOOD[index] ?? "")))).not.toEqual([]);
  });
}

test("examine() notices changes of one key in the wrong order", () => {
  expect(faultsOf(verdictOn(GOOD.with(3, GOOD[4] ?? "").with(4, GOOD[3] ?? "")))).not.toEqual([]);
});

test("examine() notices a document that is not the newest", () => {
  expect(faultsOf(verdictOn(GOOD.with(2, line(A, "u", "02", 1))))).not.toEqual([]);
});

test("examine() notices a line without its end", () => {
  expect(faultsOf(verdictOn(GOOD, `${GOOD.join("\n").slice(0, -5)}`))).not.toEqual([]);
});

test("examine() notices bytes that the state does not know", () => {
  const text = GOOD.map((one) => `${one}\n`).join("");
  const bytes = new TextEncoder().encode(text);
  const state = { committedBytes: bytes.length - 1, committedLines: GOOD.length, rows: 2 };
  const { claims } = examine(bytes, { ledger: new Map(), collection: new Map(), state });
  expect(claims.at(-1)?.faults).toEqual([`bytes: expected ${bytes.length}, found ${bytes.length - 1}`]);
});
