import { expect, test } from "bun:test";
import { countBatch } from "../../src/observe/stats.ts";
import { createCounts } from "../../src/run/counts.ts";
import { rows } from "../pipeline/fakes.ts";

test("counts go back to a savepoint, also those of the encoder, which only grow; and again to the same one", () => {
  const omitted = {
    deletes: 0,
    ends: 0,
    updates: { mayBeNewer: 0, deleted: 0, unavailable: 0, notRequested: 0 },
    unknownEvents: new Map(),
    invalidUtf8: 0,
    badDocuments: 0,
    hiddenFields: new Map(),
    idsAlike: new Map(),
  };
  const counts = createCounts({ omissions: () => omitted }, 5);
  const read = (bad: number): void => {
    countBatch(counts.stats, rows(3, undefined), 3 - bad, 30);
    omitted.badDocuments += bad;
    omitted.invalidUtf8 += 1;
  };
  const shown = (): unknown => ({ ...counts.stats, ...counts.omissions() });
  read(1);
  const before = shown();
  const restore = counts.savepoint();
  for (const _ of [1, 2]) {
    read(2);
    expect(shown()).not.toEqual(before);
    restore();
    expect(shown()).toEqual(before);
  }
  read(0);
  expect(shown()).toMatchObject({ documents: 6, lines: 5, bytes: 60, badDocuments: 1, invalidUtf8: 2, startedAt: 5 });
});
