import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BSON } from "../../src/codec/bson.ts";
import { must } from "../../src/errors.ts";
import { findId } from "../../src/source/bson-key.ts";
import { readCursor } from "../../src/source/cursor-reply.ts";
import { idFilterElement } from "../../src/source/raw-bson.ts";
import type { RangeProgress } from "../../src/source/record.ts";
import { readRange, type SnapshotSettings } from "../../src/source/snapshot.ts";
import { documentsIn, splitEvenly } from "../../src/source/split-points.ts";
import { BEGIN, expectedIds, idsOf, KINDS, never, prepare, type Prepared } from "./kinds.ts";
import { anyId, changedByJavaScript, insertIds } from "./raw-ids.ts";

const UNUSUAL = [1, 2, 3].flatMap((n) => Object.values(changedByJavaScript).map((make) => make(n)));
const RUNS = 8;

test("documents are found by _ids of any bytes", async () => {
  const property = fc.asyncProperty(fc.array(anyId, { minLength: 20, maxLength: 60 }), async (ids) => {
    const prepared = await prepare({});
    const { client, name } = prepared.database;
    const count = await insertIds(client, name, "c", [...UNUSUAL, ...ids]);
    console.log("ins", count); const all = await readCursor(
      client,
      prepared.settings.info.namespace,
      { find: "c", batchSize: 1_000 },
      { signal: never },
    );
    const { bytes, offsets } = all.documents;
    const values = offsets.map((offset) => {
      const { begin, end } = must(findId(bytes, offset), "_id");
      return { type: must(bytes[begin], "a type"), bytes, begin: begin + 5, end };
    });
    const find = { find: "c", batchSize: 1_000 };
    console.log("all", offsets.length); const found = await readCursor(client, prepared.settings.info.namespace, find, {
      signal: never,
      rawFields: idFilterElement(values.filter(({ type }) => type !== BSON.minKey)),
    });
    console.log("found", found.documents.count, found.id, all.id);expect(found.documents.count).toBe(count);
  });
  await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
});
