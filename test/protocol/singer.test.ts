/** What a Singer stream leaves out. */

import { expect, test } from "bun:test";
import { createLineEncoder } from "../../src/protocol/line-encoder.ts";
import { batchOf, event, linesOf } from "./batches.ts";

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
