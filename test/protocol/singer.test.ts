/** What a Singer stream leaves out. */

import { expect, test } from "bun:test";
import { createLineEncoder } from "../../src/protocol/line-encoder.ts";
import { batchOf, event, linesOf, rowsOf } from "./batches.ts";

test("the key of a deletion in a sharded collection is without the fields that are not selected", () => {
  const excluded = new Map([["email", "whole" as const]]);
  const stream = { stream: "c", version: 1, excluded, hasChanges: true, columns: "fields" as const };
  const encoder = createLineEncoder({
    envelope: { kind: "singer", streams: new Map([["shop.c", stream]]) },
    transcoding: { format: "plain" },
    onBadDocument: "fail",
    version: "9",
  });
  const deletion = event(1, "delete", "c", { documentKey: { email: "a@b", region: 1, _id: 7 } });
  const [line] = linesOf(encoder, batchOf([deletion])).map(([, text]) => JSON.parse(text) as { record: object });
  expect(line?.record).toEqual({ region: 1, _id: 7, _sdc_deleted_at: expect.any(String) as string });
});

test("where fields are not selected, others that the catalog does not have are left out at the top, not inside", () => {
  const excluded = new Map([["email", "whole" as const]]);
  const stream = {
    stream: "c",
    version: 1,
    excluded,
    only: ["_id", "in", "é"],
    hasChanges: false,
    columns: "fields" as const,
  };
  const encoder = createLineEncoder({
    envelope: { kind: "singer", streams: new Map([["shop.c", stream]]) },
    transcoding: { format: "plain" },
    onBadDocument: "fail",
    version: "9",
  });
  const documents = [{ _id: 1, email: "a", é: 1, in: { phone: 1 }, phone: 2 }, { _id: 2, é2: 1 }, { _id: 3 }];
  const records = linesOf(encoder, rowsOf(documents)).map(
    ([, text]) => (JSON.parse(text) as { record: object }).record,
  );
  expect(records).toEqual([{ _id: 1, é: 1, in: { phone: 1 } }, { _id: 2 }, { _id: 3 }]);
});
