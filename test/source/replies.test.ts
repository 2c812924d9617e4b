import { describe, expect, test } from "bun:test";
import { BSON, type Document, Long, Timestamp } from "mongodb";
import { ChangeEvent } from "../../src/codec/change-event.ts";
import {
  isBound,
  matchStages,
  nameToNamespace,
  narrowed,
  parseBinding,
  streamTarget,
} from "../../src/source/bindings.ts";
import { parseCursorReply } from "../../src/source/cursor-reply.ts";
import { findTerminalEvents } from "../../src/source/invalidation.ts";
import { boundOnly, scanEvents, splitEvents } from "../../src/source/event-batch.ts";
import { must } from "../../src/errors.ts";
import {
  BEGINNING,
  type Binding,
  type BsonDocuments,
  type EventBatch,
  sortKey,
  sortKeyIncrement,
  sortKeySequence,
  sortKeyTime,
} from "../../src/source/record.ts";
import { timeFrom } from "../support/states.ts";

function replyOf(cursor: Document): ReturnType<typeof parseCursorReply> {
  return parseCursorReply({ cursor: BSON.serialize(cursor), operationTime: new Timestamp({ t: 1, i: 2 }) });
}

/** The documents of a reply. */
function documentsOf(list: readonly Document[]): BsonDocuments {
  return replyOf({ firstBatch: list, id: Long.ZERO, ns: "shop.c" }).documents;
}

describe("parseCursorReply()", () => {
  test("finds documents, cursor, collection, token and times without decoding a document", () => {
    const token = { _data: "82AB" };
    const cursor = {
      nextBatch: [{ a: 1 }, {}, { b: "x" }],
      postBatchResumeToken: token,
      id: Long.fromString("-5"),
      ns: "shop.a.b",
      atClusterTime: new Timestamp({ t: 3, i: 4 }),
    };
    const { documents, id, collection, postBatchResumeToken, atClusterTime, operationTime } = replyOf(cursor);
    const lengths = documents.offsets.map((offset) =>
      new DataView(documents.bytes.buffer, documents.bytes.byteOffset).getInt32(offset, true),
    );
    expect(lengths).toEqual([12, 5, 14]);
    expect({ id, collection, atClusterTime, operationTime }).toEqual({
      id: -5n,
      collection: "a.b",
      atClusterTime: timeFrom("0000000300000004"),
      operationTime: timeFrom("0000000100000002"),
    });
    expect(Buffer.from(postBatchResumeToken ?? []).equals(Buffer.from(BSON.serialize(token)))).toBe(true);
  });

  test("finds any number of documents", () => {
    for (const count of [0, 1, 9, 10, 11, 99, 101, 1_001]) {
      expect(documentsOf(Array.from({ length: count }, (_, i) => ({ i }))).offsets).toHaveLength(count);
    }
  });

  test("refuses a reply without a cursor, without a batch, or with an element that is not a document", () => {
    expect(() => parseCursorReply({})).toThrow("holds no cursor");
    expect(() => replyOf({ id: Long.ZERO })).toThrow("holds no batch");
    expect(() => replyOf({ firstBatch: [1], id: Long.ZERO })).toThrow("no document");
  });

  test("refuses inconsistent lengths", () => {
    const cursor = BSON.serialize({ firstBatch: [{ a: 1 }], id: Long.ZERO, ns: "shop.c" });
    const at = Buffer.from(cursor).indexOf(Buffer.from([12, 0, 0, 0, 0x10, 0x61]));
    for (const length of [4, 0, -1, 13, 1_000, 0x7fffffff]) {
      const damaged = Buffer.from(cursor);
      damaged.writeInt32LE(length, at);
      expect(() => parseCursorReply({ cursor: damaged })).toThrow();
    }
  });
});

describe("bindings", () => {
  test.each([
    ["shop.orders", { db: "shop", collection: "orders" }],
    ["shop.a.b.c", { db: "shop", collection: "a.b.c" }],
    ["shop.*", { db: "shop" }],
    ["shop", { db: "shop" }],
    ["shop.a*", { db: "shop", collection: "a*" }],
    ["shop.$odd", { db: "shop", collection: "$odd" }],
  ])("%s is split at the first dot, and nothing in it means anything else", (text, expected) => {
    expect(parseBinding(text)).toEqual(expected);
  });

  test.each([
    ["tmp.agg_out.5f2e4c1a-6a0b-4b8e-9c53-8b0a7c1d2e3f", false],
    ["tmp.mr.orders_0", false],
    ["tmpzEhya.renameCollection", false],
    ["tmp0aZ9b.convertToCapped.orders", false],
    ["system.buckets.orders", false],
    ["tmp", true],
    ["tmp_agg_out", true],
    ["tmpzEhya.renameCollection.mine", true],
    ["tmplate.renameCollection", true],
    ["mine.tmp.agg_out.1", true],
  ])("isBound() knows whether %s belongs to the server or is of a whole database: %p", (collection, isOfUser) => {
    const namespace = { db: "shop", collection };
    expect(isBound([parseBinding("shop")], namespace)).toBe(isOfUser);
    expect(isBound([{ db: "shop", collection }], namespace)).toBe(true);
  });

  test("isBound() knows names to the letter", () => {
    const bindings = [parseBinding("shop.orders"), parseBinding("other")];
    const bound = ["shop.orders", "shop.Orders", "shop.orders2", "other.any", "others.any"].filter((name) => {
      const [db = "", collection = ""] = name.split(".");
      return isBound(bindings, { db, collection });
    });
    expect(bound).toEqual(["shop.orders", "other.any"]);
  });

  test.each([
    [["a.x"], "collection", "a", "x"],
    [["a.x", "a.y"], "database", "a", 1],
    [["a"], "database", "a", 1],
    [["a", "a.x"], "database", "a", 1],
    [["a.x", "b.x"], "cluster", "admin", 1],
  ] as const)("a stream of %j is opened on the least that has all of it", (names, scope, db, aggregate) => {
    expect(streamTarget(names.map(parseBinding))).toEqual({ scope, db, aggregate });
  });

  test.each([[["a.x"]], [["a"]], [["a", "a.x"]]])(
    "the server filters nothing where %j is all that it reads",
    (names) => {
      expect(matchStages(names.map(parseBinding))).toEqual([]);
    },
  );

  test.each([[["a.x", "a.y"].map(parseBinding)], [["a", "b"].map(parseBinding)], [[{ db: "a", except: ["x"] }]]])(
    "the server filters where it reads more than %j",
    (bindings) => {
      expect(matchStages(bindings)).toHaveLength(1);
    },
  );

  test.each<[string[], string, string[]]>([
    [["a.x", "a.y"], "a.x", ["a.x", "a.y"]],
    [["a.x", "a.y", "a.z"], "a.z", ["a.z", "a.x"]],
    [["a.x", "b.x", "a.y"], "a.y", ["a.y", "b.x"]],
    [["a.x", "a", "a.y"], "a.z", ["a"]],
    [["a.x", "b", "a.y"], "b.x", ["b", "a.x"]],
    // Let through by a name of the server, or by an event of another kind.
    [["a.x", "a", "a.y"], "a.system.x", ["a.x", "a", "a.y"]],
    [["a.x", "a.y", "a.z"], "a.other", ["a.x", "a.y", "a.z"]],
  ])("narrowed() keeps of %j what lets an event of %s through in the same scope: %j", (all, name, expected) => {
    const bindings = all.map(parseBinding);
    const found = narrowed(bindings, nameToNamespace(name));
    expect(found).toEqual(expected.map(parseBinding));
    expect(streamTarget(found).scope).toBe(streamTarget(bindings).scope);
  });

  test("matchStages() lets the end of a stream through whatever it filters by", () => {
    const [stage] = matchStages([parseBinding("a.x"), parseBinding("b")]) as [{ $match: { $or: Document[] } }];
    expect(stage.$match.$or).toContainEqual({ operationType: "invalidate" });
    expect(stage.$match.$or).toContainEqual({ "ns.db": "a", "ns.coll": { $in: ["x"] } });
    expect(stage.$match.$or).toContainEqual({ "ns.db": "b" });
  });
});

/** An event as the server sends it, of the n-th moment. */
function event(n: number, operationType: string, more: Document = {}): Document {
  const clusterTime = new Timestamp({ t: 100, i: n });
  return { _id: { _data: `token ${n}` }, operationType, clusterTime, ns: { db: "shop", coll: "c" }, ...more };
}

describe("scanEvents()", () => {
  test("counts within one time, on from what came before", () => {
    const documents = documentsOf([
      event(1, "insert"),
      event(1, "insert"),
      event(2, "insert"),
      event(2, "insert"),
      event(3, "insert"),
    ]);
    const { sortKeys } = scanEvents(new ChangeEvent(), documents, { time: timeFrom("0000006400000001"), sequence: 4 });
    expect(sortKeys.map((key) => [sortKeyIncrement(key), sortKeySequence(key)])).toEqual([
      [1, 5],
      [1, 6],
      [2, 1],
      [2, 2],
      [3, 1],
    ]);
  });
});

describe("splitEvents()", () => {
  const batchOf = (documents: BsonDocuments): EventBatch => {
    const { sortKeys } = scanEvents(new ChangeEvent(), documents, { time: BEGINNING, sequence: 0 });
    return {
      kind: "events",
      documents,
      sortKeys,
      ends: [{ name: "shop.c", reason: "dropped", sortKey: must(sortKeys.at(-1), "a sort key"), ms: 100_000 }],
      position: {
        collections: {},
        stream: { token: "end", resume: "resumeAfter", time: timeFrom("0000006400000003"), sequence: 1 },
      },
    };
  };

  test.each([1, 2, 3])("cut behind %p events, each part with its events, its ends and its place", (count) => {
    const whole = batchOf(documentsOf([event(1, "insert"), event(2, "delete"), event(2, "insert"), event(3, "drop")]));
    const { sortKeys } = whole;
    const [head, rest] = splitEvents(whole, count, [parseBinding("shop.c")]);
    expect([...head.sortKeys, ...rest.sortKeys]).toEqual([...sortKeys]);
    expect([head.documents.offsets.length, rest.documents.offsets.length]).toEqual([count, 4 - count]);
    expect([head.ends, rest.ends]).toEqual([[], whole.ends ?? []]);
    expect(rest.position).toEqual(whole.position);
    const token = BSON.deserialize(Buffer.from(head.position.stream?.token ?? "", "base64"));
    expect(token).toEqual({ _data: `token ${[1, 2, 2][count - 1]}` });
    expect(head.position.stream).toMatchObject({
      time: sortKeyTime(must(sortKeys[count - 1], "a sort key")),
      sequence: [1, 1, 2][count - 1],
      filter: [parseBinding("shop.c")],
    });
  });

  test("a part that ends with an invalidate is to be gone on with behind it", () => {
    const invalid = (): EventBatch =>
      batchOf(documentsOf([event(1, "drop"), event(1, "invalidate"), event(2, "insert")]));
    const resumeOf = (count: number): unknown => splitEvents(invalid(), count, [])[0].position.stream?.resume;
    expect([resumeOf(1), resumeOf(2)]).toEqual(["resumeAfter", "startAfter"]);
  });
});

describe("findTerminalEvents()", () => {
  const byName = [parseBinding("shop.c")];
  const whole = [parseBinding("shop")];
  const find = (
    list: readonly Document[],
    bindings: readonly Binding[] = byName,
  ): ReturnType<typeof findTerminalEvents> => {
    const documents = documentsOf(list);
    const event = new ChangeEvent();
    const scan = scanEvents(event, documents, { time: BEGINNING, sequence: 0 });
    const sortKeys = documents.offsets.map((_, i) => sortKey(BEGINNING, i));
    return findTerminalEvents(event, documents, { ...scan, sortKeys }, bindings);
  };

  test("finds none among changes of documents", () => {
    expect(find([event(1, "insert"), event(2, "update"), event(3, "delete")])).toEqual({ ends: [], fatal: undefined });
  });

  test("cuts behind the drop of a collection that is bound by its name; what comes after is for the next run", () => {
    const { fatal, ends } = find([event(1, "insert"), event(2, "drop"), event(3, "insert"), event(4, "drop")]);
    expect(fatal).toMatchObject({ count: 2, invalidated: false });
    expect(fatal?.error).toMatchObject({ kind: "ended", message: "the collection shop.c was dropped" });
    expect(ends).toEqual([{ name: "shop.c", reason: "dropped", sortKey: sortKey(BEGINNING, 1), ms: 100_000 }]);
  });

  test("goes on over the drop of a collection that is bound as part of its database", () => {
    const { fatal, ends } = find([event(1, "drop"), event(2, "insert")], whole);
    expect(fatal).toBeUndefined();
    expect(ends).toHaveLength(1);
  });

  const dropped = [event(1, "insert"), event(2, "drop"), event(3, "dropDatabase", { ns: { db: "shop" } })];

  test("takes a dropped database with all that belongs to it, where one of its collections is bound by its name", () => {
    const { fatal, ends } = find([...dropped, event(5, "insert")]);
    expect(fatal).toMatchObject({ count: 3, invalidated: false });
    expect(fatal?.error.message).toBe("the database shop was dropped");
    expect(ends.map(({ reason }) => reason)).toEqual(["dropped"]);
  });

  test("goes on over a database that is dropped and bound as a whole", () => {
    const { fatal, ends } = find([...dropped, event(5, "insert")], whole);
    expect(fatal).toBeUndefined();
    expect(ends.map(({ name, reason }) => [name, reason])).toEqual([["shop.c", "dropped"]]);
  });

  const rename = (from: string, to: string): Document =>
    event(1, "rename", { ns: { db: "shop", coll: from }, to: { db: "shop", coll: to } });

  test.each([
    ["away", "c", "d", "the collection shop.c was renamed to shop.d"],
    ["over it", "d", "c", "the collection shop.c was replaced by renaming shop.d to its name"],
    ["over it by the server", "tmp.agg_out.1", "c", "the collection shop.c was replaced by a command such as $out"],
  ])("tells of a collection that was renamed %s", (_, from, to, message) => {
    expect(find([rename(from, to)]).fatal?.error.message).toStartWith(message);
  });

  test("finds the end of each bound collection of a rename: of the one, and of what had the other name", () => {
    const endsOf = (from: string, to: string, bindings: readonly Binding[]): unknown[] =>
      find([rename(from, to)], bindings).ends.map(({ name, reason, renamedTo, renamedFrom }) => {
        return [name, reason, renamedTo ?? renamedFrom];
      });
    const [away, over] = [
      ["shop.c", "renamed", "shop.d"],
      ["shop.d", "replaced", "shop.c"],
    ];
    expect(endsOf("c", "d", whole)).toEqual([away, over]);
    expect(endsOf("c", "d", byName)).toEqual([away]);
    expect(endsOf("c", "d", [parseBinding("shop.d")])).toEqual([over]);
    expect(endsOf("tmp.agg_out.1", "d", whole)).toEqual([["shop.d", "replaced", undefined]]);
    expect(endsOf("c", "d", [parseBinding("other")])).toEqual([]);
  });
});

describe("boundOnly()", () => {
  test("leaves out what the server builds under a name of its own, but not the rename that ends it", () => {
    const of = (n: number, operation: string, coll: string): Document =>
      event(n, operation, { ns: { db: "shop", coll } });
    const documents = documentsOf([
      of(1, "insert", "tmp.agg_out.1"),
      of(2, "insert", "c"),
      event(3, "rename", { ns: { db: "shop", coll: "tmp.agg_out.1" }, to: { db: "shop", coll: "report" } }),
      event(4, "rename", { ns: { db: "shop", coll: "tmp.agg_out.2" }, to: { db: "other", coll: "report" } }),
      of(5, "insert", "tmpAb0zX.renameCollection"),
      event(6, "dropDatabase", { ns: { db: "shop" } }),
      event(7, "dropDatabase", { ns: { db: "other" } }),
    ]);
    const { sortKeys } = scanEvents(new ChangeEvent(), documents, { time: BEGINNING, sequence: 0 });
    const batch: EventBatch = { kind: "events", documents, sortKeys, position: { collections: {} } };
    const kept = boundOnly(batch, [parseBinding("shop")]);
    expect(kept.sortKeys.map(sortKeyIncrement)).toEqual([2, 3, 6]);
    expect(kept.documents.count).toBe(3);
  });
});

test("scanEvents() returns each namespace with its last event, without those that end something", () => {
  const of = (n: number, operation: string, coll: string): Document =>
    event(n, operation, { ns: { db: "shop", coll } });
  const list = [
    of(1, "insert", "a"),
    of(2, "insert", "b"),
    of(3, "update", "a"),
    of(4, "drop", "a"),
    of(5, "drop", "z"),
  ];
  const { namespaces } = scanEvents(new ChangeEvent(), documentsOf(list), { time: BEGINNING, sequence: 0 });
  expect([...namespaces].map(([name, key]) => [name, sortKeyIncrement(key)])).toEqual([
    ["shop.a", 3],
    ["shop.b", 2],
  ]);
});
