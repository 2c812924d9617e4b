/** `recordChanges()` of `mongotap/testing`: exactly the changes that were made, each once, without a sleep. */

import { afterEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { type Change, type ChangeRecorder, recordChanges, type RecordOptions } from "../../npm/testing.ts";
import { CANARY } from "../support/cli.ts";
import { commandUnderTest } from "../support/command.ts";
import { rejectionOf } from "../support/rejection.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { waitFor } from "../support/wait.ts";

const { program, args } = commandUnderTest();

async function record(
  { uri }: TestDatabase,
  namespaces: string | readonly string[],
  options: RecordOptions = {},
): Promise<ChangeRecorder> {
  return await recordChanges(uri, namespaces, { command: [program, ...args], timeoutMs: 30_000, ...options });
}

/** `c orders 7` */
function shown(changes: readonly Change[]): string[] {
  return changes.map(({ op, source, key }) => [op, source.collection, key?.["_id"]].join(" ").trimEnd());
}

afterEach(() => {
  delete process.env["MONGOTAP_LIMIT"];
});

test("changes() returns what was changed since recordChanges() and nothing of before, in commit order", async () => {
  const database = await testDatabase();
  const [orders, carts] = ["orders", "carts"].map((name) =>
    database.db.collection<{ _id: number; status?: string }>(name),
  );
  await orders?.insertOne({ _id: 7, status: "new" });
  await carts?.insertOne({ _id: 7 });
  await using recorder = await record(database, database.name);
  await orders?.updateOne({ _id: 7 }, { $set: { status: "cancelled" } });
  await carts?.deleteOne({ _id: 7 });
  const changes = await recorder.changes();
  expect(shown(changes)).toEqual(["u orders 7", "d carts 7"]);
  expect(changes[0]).toMatchObject({
    source: { db: database.name, collection: "orders" },
    document: { _id: 7, status: "cancelled" },
    update: { updatedFields: { status: "cancelled" } },
  });
});

test("changes() returns each change once, and an empty array where there is no new one", async () => {
  const database = await testDatabase();
  const orders = database.db.collection<{ _id: number }>("orders");
  await using recorder = await record(database, `${database.name}.orders`);
  expect(await recorder.changes()).toEqual([]);
  for (let number = 0; number < 3; number += 1) {
    await orders.insertOne({ _id: number }, { writeConcern: { w: 1 } });
    expect(shown(await recorder.changes())).toEqual([`c orders ${number}`]);
  }
  expect(await recorder.changes()).toEqual([]);
});

test("no change is missed that is made as soon as recordChanges() has resolved", async () => {
  const database = await testDatabase();
  const orders = database.db.collection<{ _id: number }>("orders");
  for (let number = 0; number < 3; number += 1) {
    await orders.insertOne({ _id: -number - 1 }, { writeConcern: { w: 1 } });
    await using recorder = await record(database, database.name);
    await orders.insertOne({ _id: number }, { writeConcern: { w: 1 } });
    expect(shown(await recorder.changes())).toEqual([`c orders ${number}`]);
  }
});

test("next() waits for changes that come later, and leaves those behind them to the next call", async () => {
  const database = await testDatabase();
  const orders = database.db.collection<{ _id: number }>("orders");
  await using recorder = await record(database, database.name);
  const two = recorder.next(2);
  for (const _id of [1, 2, 3, 4]) await orders.insertOne({ _id });
  expect(shown(await two)).toEqual(["c orders 1", "c orders 2"]);
  expect(shown(await recorder.next())).toEqual(["c orders 3"]);
  expect(shown(await recorder.changes())).toEqual(["c orders 4"]);
});

test("next() rejects after timeoutMs with what came, which the next calls return", async () => {
  const database = await testDatabase();
  await using recorder = await record(database, database.name, { timeoutMs: 1_500 });
  await database.db.collection<{ _id: number }>("orders").insertMany([{ _id: 1 }, { _id: 2 }]);
  const error = await rejectionOf(recorder.next(3));
  const came = [1, 2].map((number) => `c ${database.name}.orders {"_id":${number}}`);
  expect(error.message).toBe(`waited 1500 ms for 3 changes (${database.name}); came: ${came.join(", ")}`);
  expect(shown(await recorder.next())).toEqual(["c orders 1"]);
  expect(shown(await recorder.changes())).toEqual(["c orders 2"]);
});

test("calls that overlap return each change to one of them, in the order of the calls", async () => {
  const database = await testDatabase();
  await using recorder = await record(database, database.name);
  const calls = [recorder.next(), recorder.next(2), recorder.changes()];
  await database.db.collection<{ _id: number }>("orders").insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }]);
  expect((await Promise.all(calls)).map(shown)).toEqual([["c orders 1"], ["c orders 2", "c orders 3"], []]);
});

test.each(["database", "collection"])(
  "the recording of a %s goes on after it was dropped and made again",
  async (scope) => {
    const database = await testDatabase();
    const orders = database.db.collection<{ _id: number }>("orders");
    await orders.insertOne({ _id: 1 });
    await using recorder = await record(database, scope === "database" ? database.name : `${database.name}.orders`);
    if (scope === "database") await database.db.dropDatabase();
    else await orders.drop();
    await orders.insertOne({ _id: 2 });
    expect(shown(await recorder.next())).toEqual(["t orders"]);
    expect(shown(await recorder.changes())).toEqual(["c orders 2"]);
    await orders.drop();
    await orders.insertOne({ _id: 3 });
    expect(shown(await recorder.changes())).toEqual(["t orders", "c orders 3"]);
  },
);

test("exclude leaves collections out, format chooses the values, and variables of the user do not count", async () => {
  process.env["MONGOTAP_LIMIT"] = "1";
  const database = await testDatabase();
  const options = { exclude: [`${database.name}.sessions`], format: "canonical", fullDocument: "none" } as const;
  await using recorder = await record(database, database.name, options);
  await database.db.collection<{ _id: number }>("sessions").insertOne({ _id: 1 });
  const orders = database.db.collection<{ _id: number }>("orders");
  await orders.insertOne({ _id: 1 });
  await orders.updateOne({ _id: 1 }, { $set: { x: 1 } });
  const changes = await recorder.changes();
  expect(changes.map(({ key, document, missing }) => ({ key, document, missing }))).toEqual([
    { key: { _id: { $numberInt: "1" } }, document: { _id: { $numberInt: "1" } }, missing: undefined },
    { key: { _id: { $numberInt: "1" } }, document: null, missing: "not_requested" },
  ]);
});

function folders(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("mongotap-recorder-"));
}

test("stop() ends a call that waits, and removes every file", async () => {
  const database = await testDatabase();
  const before = folders();
  const recorder = await record(database, database.name);
  const mine = folders().filter((name) => !before.includes(name));
  expect(mine).toHaveLength(1);
  const waiting = rejectionOf(recorder.next());
  await recorder.stop();
  await recorder.stop();
  expect((await waiting).message).toBe("the recorder has been stopped");
  expect((await rejectionOf(recorder.changes())).message).toBe("the recorder has been stopped");
  await waitFor(() => !folders().some((name) => mine.includes(name)), { what: "the folder to go" });
});

test("recordChanges() rejects with what mongotap says, or with the program that does not run", async () => {
  const database = await testDatabase();
  const uri = database.uri.replace("mongodb://", `mongodb://nobody:${CANARY}@`);
  const { message } = await rejectionOf(record({ ...database, uri }, "shop"));
  expect(message).not.toContain(CANARY);
  expect(message).toMatch(/^mongotap tail ended with 5: mongotap: .*[Aa]uthentication failed/);
  const missing = recordChanges(database.uri, "shop", { command: ["/no/such/mongotap"] });
  expect((await rejectionOf(missing)).message).toMatch(/^cannot run \/no\/such\/mongotap: .*ENOENT/);
});

test("next() takes a whole number from 1 on", async () => {
  const database = await testDatabase();
  await using recorder = await record(database, database.name);
  for (const count of [0, -1, 1.5, Number.NaN]) expect(() => recorder.next(count)).toThrow(RangeError);
});
