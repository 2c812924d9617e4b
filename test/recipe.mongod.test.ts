/** A recipe: what did my code change in the database? Asked of a real replica set, answered by mongotap. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../scripts/mongod.ts";

const MONGOTAP = ["bun", "src/main.ts"]; // or the built program: ["dist/mongotap"]

let set: ReplicaSet;
let client: MongoClient;
const folder = mkdtempSync(join(tmpdir(), "recipe-"));

beforeAll(async () => {
  set = await startReplicaSet({ members: 1 });
  client = await MongoClient.connect(set.uri);
});
afterAll(async () => {
  await client.close();
  await set.stop();
  rmSync(folder, { recursive: true });
});

/** The changes since the last call (none on the first). */
function changes(namespace: string): unknown[] {
  const [program = "", ...first] = MONGOTAP;
  const args = [...first, "tail", namespace, "--until", "caught-up", "--state", join(folder, "state")];
  const text = execFileSync(program, [...args, "--log-level", "warn"], {
    env: { ...process.env, MONGOTAP_URI: set.uri },
    encoding: "utf8",
  });
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line));
}

interface Order {
  readonly _id: number;
  readonly status: string;
}

/** The code under test. */
async function cancelOrder(number: number): Promise<void> {
  const shop = client.db("shop");
  await shop.collection<Order>("orders").updateOne({ _id: number }, { $set: { status: "cancelled" } });
  await shop.collection<Order>("carts").deleteOne({ _id: number });
}

test("a cancelled order stays, and loses its cart", async () => {
  const shop = client.db("shop");
  await shop.collection<Order>("orders").insertOne({ _id: 7, status: "new" });
  await shop.collection<Order>("carts").insertOne({ _id: 7, status: "full" });
  expect(changes("shop")).toEqual([]);

  await cancelOrder(7);

  expect(changes("shop")).toMatchObject([
    { _id: 7, status: "cancelled", _meta: { op: "u", source: { collection: "orders" } } },
    { _id: 7, _meta: { op: "d", source: { collection: "carts" } } },
  ]);
});
