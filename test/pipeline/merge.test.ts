import { describe, expect, test } from "bun:test";
import { must } from "../../src/errors.ts";
import { Merge, type MergeItem } from "../../src/pipeline/merge.ts";
import {
  type Batch,
  type CollectionEnd,
  type CollectionState,
  type EventBatch,
  incrementOf,
  type Position,
  type RangeProgress,
  sortKeyTime,
} from "../../src/source/record.ts";
import { documentsOf, events, ScriptedStream, time } from "./fakes.ts";

const PINNED: Position = { collections: { "shop.c": { phase: "pinned", uuid: "uuid" } } };

/** A chunk of `count` documents that is true at moment `n`: with it `n` documents have been read. */
function stepAt(n: number, exact = true, count = 1): MergeItem {
  const state = copying({ documents: n, done: false, last: String(n) });
  const chunk = { documents: documentsOf(count), at: time(n), exact, progress: { documents: n, done: false } };
  const namespace = { db: "shop", collection: "c" };
  const name = "shop.c";
  const head = (size: number): MergeItem => {
    const { state: before } = stepAt(n - count + size);
    return { name, namespace, chunk: { ...chunk, documents: documentsOf(size) }, copy: undefined, state: before, head };
  };
  return { name, namespace, chunk, copy: undefined, state, head };
}

function copying(range: RangeProgress): CollectionState {
  return { phase: "copying", uuid: "uuid", ranges: [range] };
}

/** `e3` for an event of moment 3, `c3` for a chunk of moment 3, in the order in which they came. */
function told(batch: Batch): string[] {
  if (batch.kind === "rows") return [`c${incrementOf(batch.at)}`];
  return batch.sortKeys.map((key) => `e${incrementOf(sortKeyTime(key))}`);
}

async function mergeSteps(merge: Merge, steps: readonly MergeItem[]): Promise<string[]> {
  const all: string[] = [];
  for (const step of steps) for await (const batch of merge.upTo(step)) all.push(...told(batch));
  return all;
}

async function mergeAll(merge: Merge, steps: readonly MergeItem[]): Promise<string[]> {
  const all = await mergeSteps(merge, steps);
  for (const batch of merge.rest()) all.push(...told(batch));
  return all;
}

describe("a chunk that is true at time T", () => {
  test("comes behind every event up to T, and before every event after T", async () => {
    const stream = new ScriptedStream(1, [events([2, 3]), events([4]), events([5, 6, 7]), events([8])]);
    expect(await mergeAll(new Merge(stream, PINNED), [stepAt(3), stepAt(5), stepAt(6)])).toEqual([
      "e2",
      "e3",
      "c3",
      "e4",
      "e5",
      "c5",
      "e6",
      "c6",
      "e7",
    ]);
  });

  test("comes behind an event of just T: a later state of its document must not be told before an earlier one", async () => {
    const stream = new ScriptedStream(1, [events([2, 3, 3, 3, 4])]);
    expect(await mergeAll(new Merge(stream, PINNED), [stepAt(3)])).toEqual(["e2", "e3", "e3", "e3", "c3", "e4"]);
  });

  test("comes at once where the stream has passed T already", async () => {
    const stream = new ScriptedStream(5, []);
    expect(await mergeAll(new Merge(stream, PINNED), [stepAt(4), stepAt(5)])).toEqual(["c4", "c5"]);
    expect(stream.polls).toBe(0);
  });

  test("waits for replies without events to bring the stream past T", async () => {
    const stream = new ScriptedStream(1, [events([], 2), events([], 3), events([], 4)]);
    expect(await mergeAll(new Merge(stream, PINNED), [stepAt(4)])).toEqual(["c4"]);
    expect(stream.polls).toBe(3);
  });

  test("waits while events of the same time may still come with the next reply", async () => {
    const stream = new ScriptedStream(1, [events([3], 2), events([3, 4], 4)]);
    expect(await mergeAll(new Merge(stream, PINNED), [stepAt(3)])).toEqual(["e3", "e3", "c3", "e4"]);
  });

  test("is refused when an event after T has been told: another server, which is behind, has answered", async () => {
    const stream = new ScriptedStream(1, [events([2, 5])]);
    const merge = new Merge(stream, PINNED);
    await mergeAll(merge, [stepAt(5)]);
    const thrown = await mergeAll(merge, [stepAt(4)]).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ kind: "connect", message: expect.stringContaining("is behind the change stream") });
  });

  test("is not held up where its time is only a guess (a capped collection)", async () => {
    const stream = new ScriptedStream(1, []);
    expect(await mergeAll(new Merge(stream, PINNED), [stepAt(9, false)])).toEqual(["c9"]);
    expect(stream.polls).toBe(0);
  });
});

describe("while no chunk may be requested for", () => {
  /** Holds for so many looks; then a chunk is requested for. */
  function holdingFor(looks: number): { readonly isBlocked: boolean; readonly requested: number } {
    return {
      get isBlocked() {
        looks -= 1;
        return looks >= 0;
      },
      get requested() {
        return looks >= 0 ? 0 : 1;
      },
    };
  }

  async function tellMeanwhile(merge: Merge, looks: number): Promise<string[]> {
    const all: string[] = [];
    for await (const batch of merge.whileBlocked(holdingFor(looks))) all.push(...told(batch));
    return all;
  }

  test("events come as they happen, and what the last reply held before it", async () => {
    const stream = new ScriptedStream(1, [events([2, 3, 4]), events([5]), events([6, 7])]);
    const merge = new Merge(stream, PINNED);
    expect(await mergeSteps(merge, [stepAt(2)])).toEqual(["e2", "c2"]);
    expect(await tellMeanwhile(merge, 6)).toEqual(["e3", "e4", "e5", "e6", "e7"]);
    expect(merge.position.stream?.time).toBe(time(7));
  });

  test("events of the reply during which a chunk was requested for may lie behind it, and wait for it", async () => {
    const stream = new ScriptedStream(1, [events([2]), events([3, 4, 5])]);
    const merge = new Merge(stream, PINNED);
    expect(await tellMeanwhile(merge, 3)).toEqual(["e2"]);
    expect(stream.polls).toBe(2);
    expect(await mergeAll(merge, [stepAt(4)])).toEqual(["e3", "e4", "c4", "e5"]);
  });

  test("and when one has been requested for, the stream is not read on", async () => {
    const stream = new ScriptedStream(1, [events([2])]);
    expect(await tellMeanwhile(new Merge(stream, PINNED), 0)).toEqual([]);
    expect(stream.polls).toBe(0);
  });
});

describe("the position behind a batch", () => {
  test("is that of stream and collections together", async () => {
    const merge = new Merge(new ScriptedStream(1, [events([2]), events([3])]), PINNED);
    const positions: (readonly [string | undefined, CollectionState | undefined])[] = [];
    for (const step of [stepAt(2), stepAt(3)]) {
      for await (const { position } of merge.upTo(step)) {
        positions.push([position?.stream?.token, position?.collections["shop.c"]]);
      }
    }
    // Behind the event of moment 2 nothing has been read; behind its chunk two rows; and so on.
    expect(positions).toEqual([
      ["2", { phase: "pinned", uuid: "uuid" }],
      ["2", stepAt(2).state],
      ["3", stepAt(2).state],
      ["3", stepAt(3).state],
    ]);
  });

  test("stands between the events that came with one reply, where a chunk comes between them", async () => {
    const merge = new Merge(new ScriptedStream(1, [events([2, 3, 9])]), PINNED);
    for await (const batch of merge.upTo(stepAt(3))) void batch;
    expect(merge.position.stream?.token).toBe("3");
    for (const batch of merge.rest()) expect(told(batch)).toEqual(["e9"]);
    expect(merge.position.stream?.token).toBe("9");
  });
});

describe("the head of a batch", () => {
  async function batchesOf(merge: Merge, step: MergeItem): Promise<Batch[]> {
    return [...(await Array.fromAsync(merge.upTo(step))), ...merge.rest()];
  }

  function headOf(batch: Batch | undefined, count: number): Batch {
    return must(batch?.head, "the head")(count);
  }

  test("of events stands behind the last of them, with the collections as they were before the batch", async () => {
    const merge = new Merge(new ScriptedStream(1, [events([2, 3, 4]), events([], 9)]), PINNED);
    const [batch] = await batchesOf(merge, stepAt(5));
    const head = headOf(batch, 2);
    expect(told(head)).toEqual(["e2", "e3"]);
    expect(head.position).toEqual({ ...PINNED, stream: must(events([3]).position.stream, "its position") });
  });

  test("of events has no end that is behind them", async () => {
    const all = events([2, 3, 4]);
    const stream = new ScriptedStream(1, [
      { ...all, ends: [{ name: "shop.c", reason: "dropped", sortKey: must(all.sortKeys[2], "the last"), ms: 0 }] },
      events([], 9),
    ]);
    const [batch] = await batchesOf(new Merge(stream, PINNED), stepAt(5));
    expect(batch?.position?.collections).toEqual({});
    expect(headOf(batch, 2).position?.collections["shop.c"]?.phase).toBe("pinned");
  });

  test("of a chunk stands behind its last document, and behind all events before the chunk", async () => {
    const merge = new Merge(new ScriptedStream(1, [events([2]), events([], 9)]), PINNED);
    const rows = (await batchesOf(merge, stepAt(7, true, 5))).find(({ kind }) => kind === "rows");
    const { position } = headOf(rows, 3);
    expect(position?.collections["shop.c"]).toEqual(copying({ documents: 5, done: false, last: "5" }));
    expect(position?.stream?.time).toBe(must(rows?.position?.stream, "its position").time);
  });
});

describe("a collection that comes to an end while it is copied", () => {
  function endingAt(n: number, reason: CollectionEnd["reason"]): EventBatch {
    const batch = events([n]);
    return { ...batch, ends: [{ name: "shop.c", reason, sortKey: must(batch.sortKeys[0], "a sort key"), ms: 0 }] };
  }

  test("is copied no further: what was read behind its drop would bring documents back that are gone", async () => {
    const merge = new Merge(new ScriptedStream(1, [events([2]), endingAt(3, "dropped"), events([], 9)]), PINNED);
    expect(await mergeAll(merge, [stepAt(2), stepAt(4)])).toEqual(["e2", "c2", "e3"]);
    expect(merge.position.collections).toEqual({});
  });

  test("because another was renamed over it is to be copied anew", async () => {
    const merge = new Merge(new ScriptedStream(1, [endingAt(3, "replaced"), events([], 9)]), PINNED);
    expect(await mergeAll(merge, [stepAt(4)])).toEqual(["e3"]);
    expect(merge.position.collections["shop.c"]).toEqual({ phase: "stale", voided: true });
  });
});

test("losses of history are forgotten when everything is live again", () => {
  const live: Position = {
    collections: { "shop.c": { phase: "live", copied: { documents: 5, ranges: 1 } } },
    losses: 2,
  };
  expect(new Merge(new ScriptedStream(1, []), live).stamp(events([2])).position).not.toHaveProperty("losses");
  const copying: Position = { ...PINNED, losses: 2 };
  expect(new Merge(new ScriptedStream(1, []), copying).stamp(events([2])).position.losses).toBe(2);
});
