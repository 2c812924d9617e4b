/** A capture whose collections end, or are copied again: what it yields, and its position. */
import { describe, expect, test } from "bun:test";
import { MongotapError, must } from "../../src/errors.ts";
import type { RangeReadable } from "../../src/pipeline/backfill.ts";
import { captureSource, type CaptureSettings } from "../../src/pipeline/capture.ts";
import { recoveryOf } from "../../src/pipeline/lost-history.ts";
import { Merge } from "../../src/pipeline/merge.ts";
import { isAllLive } from "../../src/pipeline/position.ts";
import {
  type Batch,
  type CollectionEnd,
  type EventBatch,
  type EventStream,
  incrementOf,
  type Position,
  type SortKey,
  sortKeySequence,
  sortKeyTime,
  type StreamPosition,
} from "../../src/source/record.ts";
import { collectionOf, events, ScriptedStream } from "./fakes.ts";

const never = new AbortController().signal;
const LIVE = { phase: "live", copied: { documents: 4, ranges: 1 } } as const;

interface Run {
  readonly source: ReturnType<typeof captureSource>;
  /** Where each stream was opened. */
  readonly opened: (string | undefined)[];
  /** Of each listing: whether the run had yielded nothing so far. */
  readonly listed: boolean[];
}

function runOf(
  streams: EventStream[],
  listings: readonly (readonly RangeReadable[])[],
  more: Partial<CaptureSettings> = {},
): Run {
  const opened: (string | undefined)[] = [];
  const listed: boolean[] = [];
  const source = captureSource({
    open: async (from: StreamPosition | undefined) => {
      opened.push(from?.token);
      return must(streams.shift(), "another stream");
    },
    untilCaughtUp: true,
    awaitMs: 1,
    collections: async (_, isFirst) => {
      listed.push(isFirst);
      return listings[listed.length - 1] ?? [];
    },
    throttle: { isBlocked: false, requested: 0 },
    onHistoryLost: "now",
    onCopyAgain: () => undefined,
    ...more,
  });
  return { source, opened, listed };
}

function endingAt(n: number, reason: CollectionEnd["reason"], name = "shop.a"): EventBatch {
  const batch = events([n]);
  return { ...batch, ends: [{ name, reason, sortKey: keyOf(batch), ms: 0 }] };
}

function keyOf(batch: EventBatch): SortKey {
  return must(batch.sortKeys.at(-1), "a sort key");
}

function changing(batch: EventBatch, ...names: string[]): EventBatch {
  return { ...batch, changed: new Map(names.map((name) => [name, keyOf(batch)])) };
}

/** `e3` for an event of moment 3, `r2` for two rows (`r2#2` of the second copy), `a: dropped 3.1` for an end. */
function shown(batches: readonly Batch[]): string[] {
  return batches.flatMap((batch) => {
    if (batch.kind === "rows")
      return batch.documents.count === 0 ? [] : [`r${batch.documents.count}${batch.copy ? `#${batch.copy}` : ""}`];
    const ends = (batch.ends ?? []).map(
      ({ name, reason, sortKey: key }) => `${name}: ${reason} ${incrementOf(sortKeyTime(key))}.${sortKeySequence(key)}`,
    );
    return [...batch.sortKeys.map((key) => `e${incrementOf(sortKeyTime(key))}`), ...ends];
  });
}

async function read({ source }: Run, from?: Position): Promise<Batch[]> {
  return await Array.fromAsync(source(from, never, Infinity));
}

function positionBehind(batches: readonly Batch[]): Position {
  return must(batches.at(-1)?.position, "a position");
}

function until(stream: ScriptedStream, moment: number): ScriptedStream {
  return Object.assign(stream, { serverTime: events([moment]).position.stream?.time });
}

describe("a collection that was replaced", () => {
  test("is copied again within the run, from the position behind that event on, with the number of the copy", async () => {
    const first = until(new ScriptedStream(1, [events([2]), endingAt(3, "replaced"), events([4])]), 6);
    const second = new ScriptedStream(3, [events([4]), events([], 9)]);
    const run = runOf([first, second], [[collectionOf("a", 2, [1])], [collectionOf("a", 3, [3])]]);
    const batches = await read(run);
    expect(shown(batches)).toEqual(["r2", "e2", "e3", "shop.a: replaced 3.1", "r2#2", "r1#2", "e4"]);
    expect(run.opened).toEqual([undefined, "3"]);
    expect(run.listed).toEqual([true, false]);
    expect(positionBehind(batches)).toMatchObject({
      collections: { "shop.a": { phase: "live", copied: { documents: 3, ranges: 1 } } },
      copies: 2,
    });
  });

  test("is stale in the position behind the event: a run that is killed there copies it with the next one", async () => {
    const run = runOf([until(new ScriptedStream(1, [endingAt(3, "replaced")]), 6)], [[collectionOf("a", 2, [1])]]);
    const batches: Batch[] = [];
    for await (const batch of run.source(undefined, never, Infinity)) {
      batches.push(batch);
      if (batch.kind === "events" && batch.ends?.some(({ reason }) => reason === "replaced")) break;
    }
    const killed = positionBehind(batches);
    expect(killed.collections["shop.a"]).toEqual({ phase: "stale", voided: true });
    const next = await read(runOf([new ScriptedStream(3, [])], [[collectionOf("a", 1, [3])]]), killed);
    expect(shown(next)).toEqual(["r1#2"]);
  });

  test("ends the run, and is not copied in it, where the stream has ended with that", async () => {
    const stream = until(new ScriptedStream(1, [endingAt(3, "replaced")]), 6);
    const next = stream.next.bind(stream);
    stream.next = async (ms) => {
      if (stream.hasEnded) throw new MongotapError("ended", "shop.a was replaced");
      stream.hasEnded = true;
      return next(ms);
    };
    stream.hasPassed = () => false;
    const run = runOf([stream], [[]]);
    expect(await read(run, { collections: { "shop.a": LIVE } }).catch((error: unknown) => error)).toMatchObject({
      kind: "ended",
    });
    expect(run.opened).toHaveLength(1);
  });

  test("and replaced again has a larger number, also where another was copied again in between", async () => {
    const streams = [3, 5, 7].map((n, i) =>
      until(new ScriptedStream(n - 2, [endingAt(n, "replaced", i === 1 ? "shop.b" : "shop.a")]), 9),
    );
    const lists = [[], [collectionOf("a", 1, [3])], [collectionOf("b", 1, [5])], [collectionOf("a", 1, [7])]];
    const run = runOf([...streams, new ScriptedStream(9, [])], lists);
    const batches = await read(run, { collections: { "shop.a": LIVE, "shop.b": LIVE } });
    expect(shown(batches).filter((text) => text.startsWith("r"))).toEqual(["r1#2", "r1#3", "r1#4"]);
  });

  test("and does not exist any more when the catalog is read has no state, and nothing waits for it", async () => {
    const streams = [
      until(new ScriptedStream(1, [endingAt(3, "replaced")]), 6),
      new ScriptedStream(3, [events([], 9)]),
    ];
    const batches = await read(runOf(streams, [[], []]), { collections: { "shop.a": LIVE } });
    expect(positionBehind(batches).collections).toEqual({});
  });
});

describe("what was written before is void", () => {
  const before: Position = { collections: { "shop.a": LIVE, "shop.b": LIVE, "shop.out": { phase: "unbound" } } };
  const lost = recoveryOf(new MongotapError("history-lost", "gone"), before, "next-run").position;

  test("when history was lost: for each collection, before any row and any event, and what no longer exists was dropped", async () => {
    const run = runOf([new ScriptedStream(5, [events([6]), events([], 9)])], [[collectionOf("b", 2, [6])]]);
    const batches = await read(run, lost);
    expect(batches[0]?.documents.count).toBe(0);
    expect(shown(batches)).toEqual(["shop.a: dropped 5.0", "shop.b: copied again 5.0", "e6", "r2#2"]);
    expect(positionBehind(batches).collections).toEqual({
      "shop.b": { phase: "live", copied: { documents: 2, ranges: 1 } },
      "shop.out": { phase: "unbound" },
    });
  });

  test("is not said twice: the position behind that batch has none of them stale", async () => {
    const [first] = await read(runOf([new ScriptedStream(5, [])], [[collectionOf("b", 2, [5])]]), lost);
    const again = await read(runOf([new ScriptedStream(5, [])], [[collectionOf("b", 2, [5])]]), first?.position);
    expect(shown(again)).toEqual(["r2#2"]);
  });

  test("is not said of a collection whose end is in the output already", async () => {
    const voided: Position = { collections: { "shop.a": { phase: "stale", voided: true } } };
    const recovery = recoveryOf(new MongotapError("history-lost", "gone"), voided, "now");
    const run = runOf([new ScriptedStream(5, [])], [[collectionOf("a", 1, [5])]]);
    expect(shown(await read(run, recovery.position))).toEqual(["r1#2"]);
  });

  test("sorts before copied documents that are older than the first token of the stream", async () => {
    const stream = Object.assign(new ScriptedStream(5, []), { startsAfter: events([4]).position.stream?.time });
    expect(shown(await read(runOf([stream], [[collectionOf("b", 1, [4])]]), lost))).toContain(
      "shop.b: copied again 4.0",
    );
  });

  test("and the numbers of the copies outlive the loss", async () => {
    const position = recoveryOf(new MongotapError("history-lost", "gone"), { ...before, copies: 6 }, "now").position;
    const run = runOf([new ScriptedStream(5, [])], [[collectionOf("a", 1, [5]), collectionOf("b", 1, [5])]]);
    expect(shown(await read(run, position)).slice(-2)).toEqual(["r1#7", "r1#7"]);
  });
});

describe("the position knows every collection that is in the output", () => {
  const stamped = (position: Position, batch: EventBatch): Position =>
    new Merge(new ScriptedStream(1, []), position).stamp(batch).position;

  test("one that was created behind it is live from its first event on, so that a loss of history voids it", () => {
    const position = stamped({ collections: {} }, changing(events([2, 3]), "shop.late"));
    expect(position.collections).toEqual({ "shop.late": { phase: "live", copied: { documents: 0, ranges: 0 } } });
    const { position: stale } = recoveryOf(new MongotapError("history-lost", "gone"), position, "next-run");
    expect(stale?.collections).toEqual({ "shop.late": { phase: "stale", voided: false } });
  });

  test("one that is being copied stays what it is", () => {
    const pinned: Position = { collections: { "shop.a": { phase: "pinned", uuid: null } } };
    expect(stamped(pinned, changing(events([2]), "shop.a")).collections).toEqual(pinned.collections);
  });

  test("one that ends behind its last change is forgotten, one that changes behind its end is not", () => {
    const [before, behind] = [changing(endingAt(3, "dropped"), "shop.a"), changing(events([4]), "shop.a")];
    const early = { ...before, changed: new Map([["shop.a", keyOf(events([2]))]]) };
    expect(stamped({ collections: { "shop.a": LIVE } }, early).collections).toEqual({});
    expect(stamped({ collections: {} }, early).collections).toEqual({});
    const late = { ...early, changed: behind.changed ?? new Map() };
    expect(Object.keys(stamped({ collections: { "shop.a": LIVE } }, late).collections)).toEqual(["shop.a"]);
  });

  test("one that is no longer bound does not keep the others from being live", () => {
    expect(isAllLive({ collections: { "shop.a": LIVE, "shop.b": { phase: "unbound" } } })).toBe(true);
    expect(isAllLive({ collections: { "shop.a": LIVE, "shop.b": { phase: "stale", voided: false } } })).toBe(false);
  });
});

describe("a collection that cannot be read", () => {
  const unreadable = (now: string | null): RangeReadable => ({
    ...collectionOf("a", 2),
    currentUuid: async () => now,
    async *read() {
      yield* [];
      throw new MongotapError("unsupported", "a view has no index");
    },
  });

  test("ends the run, unless it is another one by now: then its end is in the stream", async () => {
    const another = runOf([until(new ScriptedStream(1, [endingAt(3, "dropped")]), 3)], [[unreadable(null)]]);
    const batches = await read(another);
    expect(shown(batches)).toEqual(["e3", "shop.a: dropped 3.1"]);
    expect(positionBehind(batches).collections).toEqual({});
    const same = runOf([until(new ScriptedStream(1, [events([], 3)]), 3)], [[unreadable("a")]]);
    await expect(read(same)).rejects.toThrow("a view has no index");
  });
});
