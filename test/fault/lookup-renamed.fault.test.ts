/** A look-up that comes too late for a snapshot reads by name, and another collection may have the name by then. */
import { expect, test } from "bun:test";

import { ownReplicaSet } from "./support/own-set.ts";
import { CAUGHT_UP, trialOf } from "./support/trial.ts";

interface Versioned {
  readonly _id: number;
  readonly v: number;
  readonly padding?: string;
}

const { set, client } = await ownReplicaSet("renamed");

test("an update shows no document of a collection that has taken the name since, however far behind the events that is", async () => {
  const db = client.db("renamed");
  const [orders, fresh] = [db.collection<Versioned>("orders"), db.collection<Versioned>("fresh")];
  await orders.insertMany([
    { _id: 1, v: 1 },
    { _id: 2, v: 1 },
  ]);
  await using trial = await trialOf(set.uri, ["capture", "renamed"]);
  await trial.expect(0, CAUGHT_UP);
  for (const _id of [1, 2]) await orders.updateOne({ _id }, { $set: { v: 2 } });
  // More than one reply holds, so that the look-up comes before the event of the rename.
  const padding = "x".repeat(1_000_000);
  for (let _id = 10; _id < 40; _id += 1) await orders.insertOne({ _id, v: 1, padding });
  await fresh.insertOne({ _id: 1, v: 99 });
  await fresh.rename("orders", { dropTarget: true });
  await trial.expect(0, CAUGHT_UP);
  const lines = await trial.lines();
  const updates = lines.filter(({ _meta }) => _meta?.op === "u");
  expect(updates.map(({ _id, v, _meta }) => [_id, v, _meta?.missing])).toEqual([
    [1, undefined, "unavailable"],
    [2, undefined, "unavailable"],
  ]);
  expect(lines.at(-1)).toMatchObject({ _id: 1, v: 99, _meta: { snapshot: true } });
});
