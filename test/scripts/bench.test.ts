/** The parts of scripts/bench.ts that decide which contestant wins, whether output is right, and what docs/benchmarks.md shows. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BSON } from "mongodb";
import { docsOf } from "../../scripts/bench/docs.ts";
import { goalsOf } from "../../scripts/bench/goals.ts";
import { countBson, LineChecker } from "../../scripts/bench/output.ts";
import { barPlot, linePlot } from "../../scripts/bench/plot.ts";
import { timesOf } from "../../scripts/bench/ratio.ts";
import { loadResults, type Measured, type Race, saveSection, type Section } from "../../scripts/bench/results.ts";
import { SHAPES } from "../../scripts/bench/shapes.ts";
import { quantile, summarize } from "../../scripts/bench/statistics.ts";
import { toMarkdown, toText } from "../../scripts/bench/table.ts";
import { smallDocument } from "../support/documents.ts";
import { exactLines } from "../../scripts/bench/updates.ts";
import { tempDir } from "../support/temp.ts";

const ROOT = join(import.meta.dirname, "../..");
const expected = { documents: 1_000, make: smallDocument };

function run(seconds: number): Measured {
  return { seconds, cpuSeconds: seconds / 2, serverCpuSeconds: 0.1, peakMB: 100 };
}

function race(id: string, times: Readonly<Record<string, readonly number[]>>): Race {
  const rows = Object.entries(times).map(([name, all]) => ({ name, runs: all.map(run), bytes: 1e6 }));
  return { kind: "race", id, title: `${id} documents`, documents: 1_000, bytes: 1e6, rows, absent: [] };
}

function section(...groups: Section["groups"]): Section {
  return { groups, machine: { cores: 2, memoryGB: 8, versions: { mongotap: "0.1.0" } }, rounds: 3, command: "bench" };
}

/** The lines that a right contestant writes, in an order of its own. */
function rightLines(): string[] {
  const lines = Array.from({ length: expected.documents }, (_, number) =>
    BSON.EJSON.stringify(smallDocument(number), { relaxed: true }),
  );
  return [...lines.slice(400), ...lines.slice(0, 400)];
}

test("summarize() and quantile() return the numbers of a table", () => {
  expect(summarize([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
  expect(quantile([5], 0.99)).toBe(5);
  expect(() => summarize([])).toThrow();
});

test("timesOf() compares round by round, so that a slow moment of the machine cancels out", () => {
  const one = race("typical", { mongotap: [1, 10, 1], mongoexport: [12, 120, 14] });
  expect(timesOf(one, "mongoexport", "mongotap")).toBe(12);
  expect(timesOf(one, "mongodump", "mongotap")).toBeUndefined();
});

test("LineChecker takes each document exactly once, in any order", async () => {
  await using folder = await tempDir();
  const path = folder.join("output");
  const text = `${rightLines().join("\n")}\n`;
  writeFileSync(path, text);
  expect(new LineChecker(expected).check(path)).toBe(Buffer.byteLength(text));
});

test("LineChecker takes a document with _meta, and a date without its zeros, for what they are", async () => {
  await using folder = await tempDir();
  const path = folder.join("output");
  const lines = rightLines().map((line) =>
    line.replace(/\.(\d\d)0Z"/g, '.$1Z"').replace(/\}$/, ',"_meta":{"op":"c"}}'),
  );
  writeFileSync(path, `${lines.join("\n")}\n`);
  new LineChecker(expected).check(path);
});

const WRONG: readonly (readonly [string, RegExp, (lines: string[]) => string])[] = [
  ["one is missing", /999 lines, not 1000/, (lines) => `${lines.slice(1).join("\n")}\n`],
  ["one comes twice", /came twice/, (lines) => `${[...lines, lines[5]].join("\n")}\n`],
  ["one is of elsewhere", /foreign _id/, (lines) => `${[...lines, '{"_id":1}'].join("\n")}\n`],
  ["the last is cut", /not complete/, (lines) => lines.join("\n")],
  [
    "a value is another",
    /not the document/,
    (lines) => `${lines.join("\n").replace('"sequence":0,', '"sequence":9,')}\n`,
  ],
];

for (const [what, message, spoil] of WRONG) {
  test(`LineChecker refuses a file where ${what}`, async () => {
    await using folder = await tempDir();
    const path = folder.join("output");
    writeFileSync(path, spoil(rightLines()));
    expect(() => new LineChecker(expected).check(path)).toThrow(message);
  });
}

test("LineChecker refuses a second file with other lines", async () => {
  await using folder = await tempDir();
  const path = folder.join("output");
  const checker = new LineChecker(expected);
  writeFileSync(path, `${rightLines().join("\n")}\n`);
  checker.check(path);
  // Number 999 is not one of those that are compared in full.
  writeFileSync(path, `${rightLines().join("\n").replace('"sequence":999,', '"sequence":9,')}\n`);
  expect(() => checker.check(path)).toThrow(/different lines/);
});

test("exactLines() counts the lines that show the version of their event, and refuses a file that is cut", () => {
  const line = (id: string, version: number, note = ""): string =>
    `{"_id":{"$oid":"${id}"},"version":${version},"_meta":{"op":"u"${note}}}\n`;
  expect(exactLines(line("a", 1) + line("b", 1) + line("a", 2), 3)).toBe(3);
  expect(exactLines(line("a", 2) + line("b", 1) + line("a", 2), 3)).toBe(2); // a newer version
  expect(exactLines(line("a", 1, ',"exact":false') + line("b", 1, ',"missing":"deleted"'), 2)).toBe(0);
  expect(() => exactLines(line("a", 1), 2)).toThrow("1 lines, not 2");
  expect(() => exactLines(line("a", 1).trimEnd(), 1)).toThrow(/not complete/);
});

test("countBson() counts documents and refuses a file that is cut", async () => {
  await using folder = await tempDir();
  const path = folder.join("dump.bson");
  const bytes = Buffer.concat([BSON.serialize({ a: 1 }), BSON.serialize({ b: "two" })]);
  writeFileSync(path, bytes);
  expect(countBson(path, bytes.length)).toBe(2);
  writeFileSync(path, bytes.subarray(0, -1));
  expect(() => countBson(path, bytes.length - 1)).toThrow(/cut off/);
});

test("SHAPES are the same on every run, and of the size in their text", () => {
  const sizes = Object.fromEntries(SHAPES.map(({ name, make }) => [name, BSON.serialize(make(77)).length]));
  for (const { make } of SHAPES) expect(make(5)).toEqual(make(5));
  expect(sizes["small"]).toBeWithin(150, 260);
  expect(sizes["typical"]).toBeWithin(600, 1_000);
  expect(sizes["large"]).toBeWithin(18_000, 22_000);
  expect(sizes["wide"]).toBeWithin(5_000, 12_000);
  expect(sizes["text"]).toBeWithin(4_000, 6_500);
  expect(sizes["numeric"]).toBeWithin(2_000, 4_000);
  expect(Object.keys(SHAPES.find(({ name }) => name === "wide")?.make(1) ?? {})).toHaveLength(450);
});

test("saveSection() replaces its own section only", async () => {
  await using folder = await tempDir();
  const path = folder.join("deep", "results.ndjson");
  expect(loadResults(path)).toEqual({});
  saveSection(path, "backfill", section(race("typical", { mongotap: [1] })));
  saveSection(path, "tail", section(race("tail", { mongotap: [2] })));
  saveSection(path, "backfill", section(race("typical", { mongotap: [3.00001] })));
  expect(Object.keys(loadResults(path))).toEqual(["backfill", "tail"]);
  expect(loadResults(path)["backfill"]?.groups).toEqual([race("typical", { mongotap: [3] })]);
});

test("goalsOf() judges what was measured, and only that", () => {
  const goals = goalsOf({
    backfill: section(race("typical", { "bare drain, by _id": [0.7], mongotap: [1], mongoexport: [11.9] })),
  });
  const verdicts = Object.fromEntries(goals.map(({ figure, isMet }) => [figure, isMet]));
  expect(verdicts["backfill of typical documents to a file, against mongoexport"]).toBe(false);
  expect(verdicts["the same, against the bare drain in the same order"]).toBe(true);
  expect(verdicts["the same, against mongodump"]).toBeUndefined();
});

test("tables are aligned as text and complete as Markdown", () => {
  const table = { head: ["", "time"], rows: [["mongotap", "1.00 s"], ["other", "12.00 s"]] }; // prettier-ignore
  expect(toText(table)).toBe("             time\nmongotap   1.00 s\nother     12.00 s");
  expect(toMarkdown(table)).toBe("|  | time |\n| --- | ---: |\n| mongotap | 1.00 s |\n| other | 12.00 s |");
});

test("plots are SVG in which text is text", () => {
  const bars = barPlot("a < b & c", [{ label: "<x>", value: 2, text: "2", isMongotap: true }]);
  expect(bars).toStartWith("<svg ");
  expect(bars).toContain("a &lt; b &amp; c");
  expect(bars).not.toContain("<x>");
  const axes = { title: "t", unit: "MB", ticks: [{ at: 0, text: "0" }, { at: 2, text: "2" }] }; // prettier-ignore
  expect(linePlot(axes, [{ label: "one", points: [[0, 1], [2, 3]] }])).toContain('points="60.0,214.0'); // prettier-ignore
});

const PUBLISHED = join(ROOT, "docs/benchmarks/results.ndjson");

test.if(existsSync(PUBLISHED))("docs/benchmarks.md and its plots are what the results give", () => {
  for (const [name, text] of Object.entries(docsOf(loadResults(PUBLISHED)))) {
    expect(readFileSync(join(ROOT, "docs", name), "utf8")).toBe(text);
  }
});
