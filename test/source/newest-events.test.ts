import { describe, expect, test } from "bun:test";
import { type Document, Double, Int32 } from "mongodb";
import { ChangeEvent } from "../../src/codec/change-event.ts";
import { NewestChanges, newestEvents } from "../../src/source/newest-events.ts";
import { type EventBatch, incrementOf, sortKeyTime } from "../../src/source/record.ts";
import { batchOf, event } from "../protocol/batches.ts";
import { ScriptedStream } from "../pipeline/fakes.ts";

function change(n: number, _id: unknown, coll = "c", operation = "update", more: Document = {}): Document {
  return event(n, operation, coll, { documentKey: { ...more, _id } });
}

/** The increments of the events that a second pass over `batches` keeps, where the first has seen `first` of them. */
async function kept(batches: readonly EventBatch[], first = batches.length): Promise<number[]> {
  const changes = new NewestChanges();
  for (const batch of batches.slice(0, first)) changes.add(batch);
  await using stream = newestEvents(new ScriptedStream(1, batches), changes);
  const found: number[] = [];
  for (const _ of batches) found.push(...(await stream.next(0)).sortKeys.map((key) => incrementOf(sortKeyTime(key))));
  return found;
}

describe("of the changes of a document", () => {
  test("only the last one is left, whatever it is, across replies", async () => {
    const batches = [
      batchOf([change(1, 1, "c", "insert"), change(2, 2), change(3, 1)]),
      batchOf([change(4, 2, "c", "delete"), change(5, 1)]),
    ];
    expect(await kept(batches)).toEqual([4, 5]);
  });

  test("those of another collection, or of another key, are not among them", async () => {
    expect(await kept([batchOf([change(1, 1), change(2, 1, "d"), change(3, "1"), change(4, { a: 1 })])])).toEqual([
      1, 2, 3, 4,
    ]);
  });

  test("a key that comes again as another type of number is the same key", async () => {
    expect(await kept([batchOf([change(1, new Int32(1)), change(2, new Double(1))])])).toEqual([2]);
  });

  test("the fields of a shard key make no other document", async () => {
    const moved = [change(1, 1, "c", "update", { s: 1 }), change(2, 1, "c", "update", { s: 2 })];
    expect(await kept([batchOf(moved)])).toEqual([2]);
  });
});

test("what comes behind the first pass is left out: the next one reads it", async () => {
  expect(await kept([batchOf([change(1, 1)]), batchOf([change(2, 2), change(3, 1)])], 1)).toEqual([1]);
});

test("the end of a collection stays, with its place among the changes", async () => {
  const batch = batchOf([change(1, 1), event(2, "drop", "c"), change(3, 1)]);
  const changes = new NewestChanges();
  changes.add(batch);
  await using stream = newestEvents(new ScriptedStream(1, [batch]), changes);
  const { sortKeys, ends = [] } = await stream.next(0);
  expect(sortKeys.map((key) => incrementOf(sortKeyTime(key)))).toEqual([2, 3]);
  expect(ends.map(({ name }) => name)).toEqual(["shop.c"]);
});

test("a change is found again where the second pass does not have all events of its transaction", async () => {
  const uuid = "5a1004d99ed44d9115a4d76b28f55d1dc78565";
  const ofTransaction = (index: number, _id: number, rest = ""): Document => ({
    ...change(1, _id),
    _id: { _data: `820000006400000001 2b04 2c0${index}00 29 ${uuid}${rest}04`.replaceAll(" ", "") },
  });
  const first = batchOf([ofTransaction(1, 1), ofTransaction(2, 2), ofTransaction(3, 3), ofTransaction(4, 2)]);
  // Without the first event; and the last one came in fragments.
  const second = batchOf([ofTransaction(2, 2), ofTransaction(3, 3), ofTransaction(4, 2, "2b02")]);
  const changes = new NewestChanges();
  changes.add(first);
  await using stream = newestEvents(new ScriptedStream(1, [second]), changes);
  expect((await stream.next(0)).sortKeys).toEqual(second.sortKeys.slice(1));
});

test("the first pass counts documents, not changes", () => {
  const changes = new NewestChanges();
  changes.add(batchOf([change(1, 1), change(2, 1), change(3, 2), event(4, "drop", "c")]));
  expect(changes.size).toBe(2);
  const other = new ChangeEvent();
  const batch = batchOf([change(3, 2)]);
  other.read(batch.documents.bytes, batch.documents.offsets[0] ?? 0);
  expect(changes.isNewest(other, batch.sortKeys[0] ?? ("" as never))).toBe(true);
});
