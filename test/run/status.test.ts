import { expect, test } from "bun:test";
import { statusOf } from "../../src/commands/status.ts";
import type { CollectionState } from "../../src/source/record.ts";
import { FINGERPRINT, timeFrom } from "../support/states.ts";

const ONE_DONE: CollectionState = {
  phase: "copying",
  uuid: null,
  ranges: [
    { documents: 3, done: true, partition: 0 },
    { documents: 4, done: false, partition: 1 },
  ],
};

test.each([
  [
    { phase: "pinned", uuid: null },
    { phase: "pinned", rows: 0, rangesDone: 0, ranges: 1 },
  ],
  [ONE_DONE, { phase: "copying", rows: 7, rangesDone: 1, ranges: 2 }],
  [
    { phase: "copying", uuid: null, ranges: [{ documents: 3, done: true }] },
    { phase: "done", rows: 3, rangesDone: 1, ranges: 1 },
  ],
  [
    { phase: "live", copied: { documents: 3, ranges: 1 } },
    { phase: "live", rows: 3, rangesDone: 1, ranges: 1 },
  ],
  [
    { phase: "live", copied: { documents: 0, ranges: 0 } },
    { phase: "live", rows: 0, rangesDone: 0, ranges: 0 },
  ],
  [
    { phase: "stale", voided: false },
    { phase: "stale", rows: 0, rangesDone: 0, ranges: 0 },
  ],
  [{ phase: "unbound" }, { phase: "unbound", rows: 0, rangesDone: 0, ranges: 0 }],
] as const satisfies readonly (readonly [CollectionState, object])[])("status prints of %j: %j", (state, printed) => {
  const found = statusOf(
    {
      formatVersion: 2,
      seq: 1,
      source: { setName: "rs" },
      fingerprint: FINGERPRINT,
      position: { collections: { "shop.orders": state } },
      outputs: [],
    },
    { first: timeFrom("0000000000000001"), last: timeFrom("0000000900000001") },
    timeFrom("0000000900000001"),
  );
  expect(found).toMatchObject({ command: "capture", position: null, windowUsed: null, losses: 0 });
  expect(found.collections).toEqual([{ namespace: "shop.orders", ...printed }]);
});
