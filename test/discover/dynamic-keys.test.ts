/** Keys of documents that are maps are collapsed; fields of other documents are not. */

import { describe, expect, test } from "bun:test";
import { ObjectId, serialize, UUID } from "bson";
import { fieldRowsOf } from "../../src/discover/field-rows.ts";
import { randomOf } from "../support/documents.ts";
import { linesOf, structureOf } from "./catalogs.ts";

const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const mapOf = <T>(keys: readonly string[], value: (index: number) => T): Record<string, T> =>
  Object.fromEntries(keys.map((key, i) => [key, value(i)]));

describe("dynamic keys are collapsed to .*", () => {
  const cases: readonly (readonly [what: string, key: (random: () => number) => string])[] = [
    ["ObjectIds", () => new ObjectId().toHexString()],
    ["UUIDs", () => new UUID().toHexString()],
    ["mail addresses", (random) => `user${Math.floor(random() * 1e6)}@example.com`],
    ["days", (random) => new Date(Math.floor(random() * 1e12)).toISOString().slice(0, 10)],
    ["long numbers", (random) => String(Math.floor(1e6 + random() * 1e8))],
    ["short numbers", (random) => String(Math.floor(random() * 90))],
    ["names of users", (random) => `u_${Math.floor(random() * 1e9).toString(36)}`],
  ];

  test.each(cases)("%s", (_what, key) => {
    const random = randomOf(1);
    const documents = times(100, (i) => ({
      _id: i,
      by: mapOf(
        times(3, () => key(random)),
        (n) => ({ n, w: "x" }),
      ),
      end: 1,
    }));
    const lines = linesOf(structureOf(documents));
    expect(lines).toEqual([
      "_id: 1 int",
      "by: 1 object",
      expect.stringMatching(/^by\.\*: object \((more than )?\d+ keys\)$/),
      "by.*.n: 1 int",
      "by.*.w: 1 string",
      "end: 1 int",
    ]);
  });

  test("at the top, beside fields of every document", () => {
    const documents = times(50, (i) => ({ _id: i, kind: "x", [new ObjectId().toHexString()]: i }));
    expect(linesOf(structureOf(documents))).toEqual(["_id: 1 int", "kind: 1 string", "*: int (50 keys)"]);
  });

  test("in a single document with very many keys", () => {
    const document = {
      _id: 1,
      by: mapOf(
        times(5_000, () => new ObjectId().toHexString()),
        String,
      ),
      end: 1,
    };
    expect(linesOf(structureOf([document]))).toEqual([
      "_id: 1 int",
      "by: 1 object",
      "by.*: string (more than 1024 keys)",
      "end: 1 int",
    ]);
  });

  test("in maps inside maps", () => {
    const ids = (): string[] => times(20, () => new ObjectId().toHexString());
    const documents = times(20, () => ({ a: mapOf(ids(), () => mapOf(ids(), () => true)) }));
    expect(linesOf(structureOf(documents))).toEqual([
      "a: 1 object",
      expect.stringMatching(/^a\.\*: object/),
      expect.stringMatching(/^a\.\*\.\*: bool/),
    ]);
  });
});

describe("fields are not taken for dynamic keys", () => {
  test("in wide documents, whatever their width", () => {
    for (const width of [100, 900]) {
      const document = mapOf(
        times(width, (i) => `field_${i}`),
        (i) => i,
      );
      expect(fieldRowsOf(structureOf(times(30, () => document))).length).toBe(width);
    }
  });

  test("with numbers for names, if every document has them", () => {
    const documents = times(30, () => mapOf(times(60, String), (i) => i));
    expect(fieldRowsOf(structureOf(documents)).length).toBe(60);
  });

  test("if they are 300 optional fields, of which each document has some", () => {
    const random = randomOf(2);
    const documents = times(1_000, (i) => ({
      _id: i,
      ...mapOf(
        times(300, (n) => `option${String.fromCharCode(97 + (n % 26))}${n}x`).filter(() => random() < 0.1),
        () => 1,
      ),
    }));
    expect(fieldRowsOf(structureOf(documents)).length).toBe(301);
  });

  test("in a single document", () => {
    expect(
      fieldRowsOf(
        structureOf([
          mapOf(
            times(200, (i) => `setting${i}`),
            String,
          ),
        ]),
      ).length,
    ).toBe(200);
  });
});

describe("memory is bounded", () => {
  test("200,000 distinct keys are counted up to a limit and become one row", () => {
    const documents = times(200, (i) => ({
      _id: i,
      by: mapOf(
        times(1_000, (n) => `k${i}_${n}_`),
        () => 1,
      ),
    }));
    const structure = structureOf(documents);
    expect(linesOf(structure)).toEqual(["_id: 1 int", "by: 1 object", "by.*: int (more than 1024 keys)"]);
  });

  test("documents with only the key in common do not become a field per name", () => {
    const documents = times(400, (i) => ({
      _id: i,
      ...mapOf(
        times(100, (n) => `f${i}_${n}x`),
        () => ({ a: 1, b: [{ c: 1 }] }),
      ),
    }));
    const rows = fieldRowsOf(structureOf(documents));
    expect(rows.length).toBeLessThan(20);
    expect(rows.map(({ path }) => path)).toContain("*.b[].c");
  });

  test("at most about 5,000 fields are kept at all depths, and truncated rows are marked", () => {
    const wide = (seed: number): object =>
      mapOf(
        times(900, (n) => `column${seed}${"abc"[n % 3] ?? ""}${n}`),
        () => 1,
      );
    const rows = fieldRowsOf(
      structureOf([
        mapOf(
          times(20, (i) => `part${i}`),
          wide,
        ),
      ]),
    );
    expect(rows.length).toBeLessThan(5_050);
    expect(rows.filter(({ isTruncated }) => isTruncated).map(({ path }) => path)).toEqual(["part5", "*"]);
    expect(rows.find(({ path }) => path === "*.*")).toMatchObject({ keys: { more: true } });
  });

  test("a name of 1 MB is a dynamic key", () => {
    const rows = fieldRowsOf(structureOf([{ _id: 1, ["n".repeat(1_000_000)]: 1 }]));
    expect(rows.map(({ path }) => path)).toEqual(["_id", "*"]);
  });

  test("one document with very many keys does not take quadratic time", () => {
    const cpuOf = (keys: number): number => {
      const document = serialize(
        mapOf(
          times(keys, (i) => `k${i}x`),
          () => 1,
        ),
      );
      const before = process.cpuUsage();
      expect(fieldRowsOf(structureOf([document, document])).length).toBeLessThan(1_100);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    cpuOf(50_000); // warm up
    // Ten times the keys take ten times as long, not a hundred times.
    expect(cpuOf(100_000)).toBeLessThan(40 * Math.max(cpuOf(10_000), 2_000));
  });
});
