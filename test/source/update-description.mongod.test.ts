/** Update descriptions of the real server, applied to the document before each update. */
import { describe, expect, test } from "bun:test";
import { BSON, type Document } from "mongodb";
import { UpdateSeries } from "../../src/codec/update-description.ts";
import type { Random } from "../../scripts/lib/random.ts";
import { randomFor } from "../support/random.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";

interface Item extends Document {
  readonly _id: number;
}

const START: Item = { _id: 1, n: 0, list: [1, 2, 3], doc: { n: 0, list: [{ a: 1 }], "0": "zero" }, text: "text" };

type Change = (n: number, random: Random) => Document | Document[];

const MODIFIERS: Readonly<Record<string, Change>> = {
  increment: () => ({ $inc: { n: 1, "doc.n": 1 } }),
  "set within an array": (n) => ({ $set: { "doc.list.0.a": n } }),
  "set new fields": (n) => ({ $set: { [`z${n}`]: 1, [`a${n}`]: { b: [n] } } }),
  "set a number as a name": (n) => ({ $set: { "doc.0": n, "doc.1": n } }),
  unset: (n, random) => ({ $unset: { [`${random.pick(["z", "a"])}${random.whole(n + 1)}`]: "", "doc.1": "" } }),
  "unset an element": () => ({ $unset: { "list.0": "" } }),
  push: (n) => ({ $push: { list: n, "doc.list": { a: n } } }),
  "push in front": (n) => ({ $push: { list: { $each: [n, n + 1], $position: 0 } } }),
  "push with a slice": (n) => ({ $push: { list: { $each: [n], $slice: -3 } } }),
  "push with an order": (n) => ({ $push: { list: { $each: [9 - (n % 10)], $sort: -1 } } }),
  pop: () => ({ $pop: { list: 1 } }),
  shift: () => ({ $pop: { list: -1 } }),
  pull: (n) => ({ $pull: { list: { $lt: n - 3 } } }),
  "fill an array": () => ({ $set: { "list.7": 7 } }),
  rename: (n) => ({ $rename: { text: "other" }, $set: { named: n } }),
  "rename back": () => ({ $rename: { other: "text" } }),
  "all elements": (n) => ({ $set: { "doc.list.$[].b": n } }),
};

const PIPELINES: Readonly<Record<string, Change>> = {
  "set by a pipeline": (n) => [
    { $set: { n, "doc.deep.er": n, list: { $slice: [{ $concatArrays: ["$list", [n]] }, -4] } } },
  ],
  "unset by a pipeline": () => [{ $unset: ["doc.deep", "text"] }],
  "a new order": () => [{ $replaceWith: { $mergeObjects: [{ _id: "$_id", text: "first" }, "$$ROOT"] } }],
  "moved to the end": (n) => [{ $unset: "n" }, { $set: { n } }],
  "a dot in a name": (n) => [
    { $replaceWith: { $setField: { field: { $literal: "doc.n" }, input: "$$ROOT", value: n } } },
  ],
  "no dot in a name any more": () => [
    { $replaceWith: { $unsetField: { field: { $literal: "doc.n" }, input: "$$ROOT" } } },
  ],
};

interface Update {
  readonly name: string;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  /** Undefined where the server made a replacement of it. */
  readonly description: Uint8Array | undefined;
}

/** Updates one document at random, and returns what the server says of each update that changed it. */
async function updatesOf(
  { db }: TestDatabase,
  changes: Readonly<Record<string, Change>>,
  count: number,
): Promise<Update[]> {
  const random = randomFor(Object.keys(changes).join());
  const collection = db.collection<Item>("c");
  const read = async (): Promise<Uint8Array> => {
    const found = await collection.findOne({ _id: 1 }, { raw: true });
    return found as unknown as Uint8Array;
  };
  await collection.insertOne(START);
  await using stream = collection.watch();
  await stream.tryNext();
  const updates: Update[] = [];
  let before = await read();
  for (let n = 1; n <= count; n += 1) {
    const name = random.pick(Object.keys(changes));
    const change = changes[name];
    if (change === undefined) throw new Error("a change without a name");
    const { modifiedCount } = await collection
      .updateOne({ _id: 1 }, change(n, random) as Document)
      // Some changes do not fit what the document has become.
      .catch(() => ({ modifiedCount: 0 }));
    if (modifiedCount === 0) continue;
    const after = await read();
    const event = await stream.next();
    const description = event.operationType === "update" ? BSON.serialize(event.updateDescription) : undefined;
    updates.push({ name, before, after, description });
    before = after;
  }
  return updates;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const at = (bytes: Uint8Array): { bytes: Uint8Array; begin: number } => ({ bytes, begin: 0 });

describe("UpdateSeries.apply(), for updates that the server has made", () => {
  test("makes the document of the server after every modifier", async () => {
    const updates = await updatesOf(await testDatabase(), MODIFIERS, 400);
    const named = new Set<string>();
    for (const { name, before, after, description } of updates) {
      const found = description && new UpdateSeries().apply(at(before), at(description));
      expect({ name, found: found && hex(found) }).toEqual({ name, found: hex(after) });
      named.add(name);
    }
    expect(updates.length).toBeGreaterThan(200);
    expect([...named].toSorted()).toEqual(Object.keys(MODIFIERS).toSorted());
  });

  test("in a series whose last document is that of the server, has made every one", async () => {
    const updates = await updatesOf(await testDatabase(), { ...MODIFIERS, ...PIPELINES }, 600);
    let [proved, made] = [0, 0];
    for (let begin = 0; begin < updates.length; begin += 1) {
      const series = new UpdateSeries();
      const wrong: string[] = [];
      let version = updates[begin]?.before;
      for (const { name, after, description } of updates.slice(begin, begin + 12)) {
        version = version && description && series.apply(at(version), at(description));
        if (version === undefined) break;
        made += 1;
        if (hex(version) !== hex(after)) wrong.push(name);
        else {
          // The last one is right: those before are believed.
          expect(wrong).toEqual([]);
          proved += 1;
        }
      }
    }
    expect(proved).toBeGreaterThan(updates.length);
    expect(made).toBeGreaterThan(proved);
  });
});
