import { describe, expect, test } from "bun:test";
import { BSON, type Document } from "mongodb";
import { ChangeEvent } from "../../src/codec/change-event.ts";
import { toText } from "../../src/source/bson-key.ts";
import {
  clusterTime,
  type ClusterTime,
  type EventBatch,
  type EventStream,
  type StreamPosition,
} from "../../src/source/record.ts";
import { unsentEvents } from "../../src/source/unsent-events.ts";
import { batchOf, event, insert, rename } from "../protocol/batches.ts";

/** A position behind event number `n` of `batches.ts`, or a high-water mark. */
function positionAt(data: string, time: ClusterTime): StreamPosition {
  return { token: toText(BSON.serialize({ _data: data })), resume: "resumeAfter", time, sequence: 1 };
}

function behind(n: number): StreamPosition {
  return positionAt(`token ${n}`, clusterTime(100, n));
}

class FakeStream implements EventStream {
  readonly position = behind(0);
  readonly startsAfter = clusterTime(100, 0);
  readonly serverTime = clusterTime(200, 0);
  readonly hasEnded = false;
  readonly #batch: EventBatch;

  constructor(batch: EventBatch) {
    this.#batch = batch;
  }

  hasPassed(): boolean {
    return false;
  }
  async next(): Promise<EventBatch> {
    return this.#batch;
  }
  split(): readonly [EventBatch, EventBatch] {
    throw new Error("not called");
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

interface Kept {
  /** Operation, collection, number within its second. */
  readonly events: readonly string[];
  readonly ends: readonly string[];
  readonly changed: readonly string[];
}

async function keptOf(list: readonly Document[], sentUpTo: Readonly<Record<string, StreamPosition>>): Promise<Kept> {
  const batch = batchOf(list);
  const changedKeys = ["shop.a", "shop.b"].flatMap((name) => {
    const index = list.findLastIndex(({ ns, operationType }) => {
      const { coll } = ns as { readonly coll: string };
      return operationType === "insert" && `shop.${coll}` === name;
    });
    const key = batch.sortKeys[index];
    return key === undefined ? [] : [[name, key] as const];
  });
  const stream = new FakeStream({ ...batch, changed: new Map(changedKeys) });
  const unsent = unsentEvents(stream, new Map(Object.entries(sentUpTo)));
  const { documents, sortKeys, ends = [], changed } = await unsent.next(0);
  const view = new ChangeEvent();
  const events = documents.offsets.map((offset) => {
    view.read(documents.bytes, offset);
    return `${view.operation} ${view.namespace}`;
  });
  expect(sortKeys).toHaveLength(events.length);
  return { events, ends: ends.map(({ name, reason }) => `${name} ${reason}`), changed: [...(changed?.keys() ?? [])] };
}

describe("a change stream that begins at the earliest of several positions", () => {
  test("leaves out what the others have been sent, and nothing behind that", async () => {
    const list = [insert(1, "a"), insert(2, "b"), insert(3, "a"), insert(4, "b")];
    expect(await keptOf(list, { "shop.a": behind(1) })).toEqual({
      events: ["insert shop.b", "insert shop.a", "insert shop.b"],
      ends: [],
      changed: ["shop.a", "shop.b"],
    });
    expect(await keptOf(list, { "shop.a": behind(3), "shop.b": behind(2) })).toEqual({
      events: ["insert shop.b"],
      ends: [],
      changed: ["shop.b"],
    });
  });

  test("leaves out an end that has been sent", async () => {
    const list = [event(1, "drop", "a"), event(2, "drop", "b")];
    expect(await keptOf(list, { "shop.a": behind(1) })).toEqual({
      events: ["drop shop.b"],
      ends: ["shop.b dropped"],
      changed: [],
    });
  });

  test("returns a rename for the one of two collections that has not been sent it", async () => {
    const list = [rename(1, "a", "b")];
    const of = async (...ahead: readonly string[]): Promise<readonly string[]> =>
      (await keptOf(list, Object.fromEntries(ahead.map((name) => [name, behind(1)])))).ends;
    expect(await of("shop.c")).toEqual(["shop.a renamed", "shop.b replaced"]);
    expect(await of("shop.a")).toEqual(["shop.b replaced"]);
    expect(await of("shop.b")).toEqual(["shop.a renamed"]);
    expect((await keptOf(list, { "shop.a": behind(1), "shop.b": behind(1) })).events).toEqual([]);
  });

  test("asks for copies that are no older than what it leaves out", () => {
    const stream = new FakeStream(batchOf([]));
    const startsAfter = (position: StreamPosition): ClusterTime =>
      unsentEvents(stream, new Map([["shop.a", position]])).startsAfter;
    expect(startsAfter(behind(7))).toBe(clusterTime(100, 7));
    // A high-water mark is a tick ahead of what the server has done: to wait for it would be to wait for a write.
    expect(startsAfter(positionAt("8200000064000000092b022c0100296e04", clusterTime(100, 9)))).toBe(
      clusterTime(100, 9),
    );
    expect(startsAfter(positionAt("8200000064000000092b0229296e04", clusterTime(100, 9)))).toBe(clusterTime(100, 8));
    expect(startsAfter(positionAt("token 0", clusterTime(50, 1)))).toBe(clusterTime(100, 0));
  });
});
