import assert from "node:assert/strict";
import { test } from "node:test"; // or "bun:test", or "vitest"
import { recordChanges, startReplicaSet } from "mongotap/testing";
import { placeOrder } from "./shop.mjs"; // the code under test

const { uri } = await startReplicaSet(); // a real server, which ends with this process
test("an order is stored, and puts one mail into the outbox", async () => {
  const recorder = await recordChanges(uri, "shop");
  await placeOrder(uri, 7);
  const made = (await recorder.changes()).map(({ op, source, key }) => `${op} ${source.collection} ${key?._id}`);
  assert.deepEqual(made, ["c orders 7", "c outbox order-7"]);
});
