import { describe, expect, test } from "bun:test";
import { MongotapError } from "../../src/errors.ts";
import { backfillSource, type RangeReadable } from "../../src/pipeline/backfill.ts";
import { captureSource, type CaptureSettings } from "../../src/pipeline/capture.ts";
import { recoveryOf } from "../../src/pipeline/lost-history.ts";
import { createThrottle, type ReadThrottle } from "../../src/pipeline/throttle.ts";
import { tailSource } from "../../src/pipeline/tail.ts";
import { take } from "../../src/pipeline/limit.ts";
import type { Batch, EventStream, Position, Source } from "../../src/source/record.ts";
import { collectionOf, events, ScriptedStream } from "./fakes.ts";

const never = new AbortController().signal;

/** All batches of a source, or those of the first `limit` documents. */
async function read(source: Source, from?: Position, limit = Infinity): Promise<Batch[]> {
  return await Array.fromAsync(take(source, limit).open(from, never));
}

function countOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, { documents }) => sum + documents.count, 0);
}

/** The position behind the last of these batches that has one. */
function endOf(batches: readonly Batch[]): Position {
  const position = batches.findLast((batch) => batch.position !== undefined)?.position;
  if (!position) throw new Error("no batch has a position");
  return position;
}

function phasesOf({ collections }: Position): Record<string, string> {
  return Object.fromEntries(Object.entries(collections).map(([name, { phase }]) => [name, phase]));
}

describe("backfillSource()", () => {
  test("reads one collection after the other, and goes on behind any batch of an earlier run", async () => {
    const collections = [collectionOf("a", 5), collectionOf("b", 3)];
    const whole = await read(backfillSource(collections));
    expect(countOf(whole)).toBe(8);
    for (const [i, { position }] of whole.entries()) {
      const rest = await read(backfillSource(collections), JSON.parse(JSON.stringify(position)) as Position);
      expect(countOf(rest)).toBe(countOf(whole.slice(i + 1)));
    }
  });

  test("ends after that number of documents, and the next run resumes there", async () => {
    const collections = [collectionOf("a", 5), collectionOf("b", 5)];
    const first = await read(backfillSource(collections), undefined, 7);
    expect(countOf(first)).toBe(7);
    expect(countOf(await read(backfillSource(collections), endOf(first)))).toBe(3);
  });

  test("refuses a collection that is not the one of which a part was read", async () => {
    const first = await read(backfillSource([collectionOf("a", 5)]), undefined, 2);
    const other = collectionOf("a", 5, [], "another");
    expect(await read(backfillSource([other]), endOf(first)).catch((error: unknown) => error)).toMatchObject({
      kind: "ended",
    });
  });

  test("rejects a collection that was recreated while it was read, before it is complete", async () => {
    const changing: RangeReadable = { ...collectionOf("a", 5), currentUuid: async () => "another" };
    let count = 0;
    const reading = (async () => {
      for await (const batch of backfillSource([changing])(undefined, never, Infinity)) count += batch.documents.count;
    })();
    expect(await reading.catch((error: unknown) => error)).toMatchObject({ kind: "ended" });
    expect(count).toBe(5);
  });

  test("gives no position amid something that can only be read from its beginning", async () => {
    const collection = collectionOf("v", 5);
    const view: RangeReadable = {
      ...collection,
      async *read(...asked) {
        for await (const chunk of collection.read(...asked))
          yield chunk.progress.done ? chunk : { ...chunk, partial: true };
      },
    };
    const positions = (await read(backfillSource([view]))).map(({ position }) => position !== undefined);
    expect(positions).toEqual([false, false, false, true]);
  });
});

describe("tailSource()", () => {
  const opened = (stream: EventStream) => async (): Promise<EventStream> => stream;

  test("yields its position first, before any event", async () => {
    const [first] = await read(
      tailSource({ open: opened(new ScriptedStream(3, [])), untilCaughtUp: true, awaitMs: 1 }),
    );
    expect(first?.documents.count).toBe(0);
    expect(first?.position?.stream?.token).toBe("3");
  });

  test("ends when it has passed the time of the server at its start, and yields nothing after it", async () => {
    const stream = new ScriptedStream(1, [events([2]), events([3], 5), events([6])]);
    Object.assign(stream, { serverTime: "0000000000000005", startsAfter: "0000000000000005" });
    const batches = await read(tailSource({ open: opened(stream), untilCaughtUp: true, awaitMs: 1 }));
    expect(countOf(batches)).toBe(2);
    expect(endOf(batches).stream?.token).toBe("5");
  });

  test("lets the server wait longer and longer while nothing comes before the end, and briefly again when something has", async () => {
    const empty = Array.from({ length: 7 }, () => events([], 1));
    const stream = new ScriptedStream(1, [...empty, events([2]), events([], 2), events([3])]);
    Object.assign(stream, { serverTime: "0000000000000003" });
    await read(tailSource({ open: opened(stream), untilCaughtUp: true, awaitMs: 1_000 }));
    expect(stream.patience).toEqual([2, 4, 8, 16, 32, 50, 50, 50, 2, 4]);
  });

  test("ends amid a reply where the limit says so, with the position between its events", async () => {
    const stream = new ScriptedStream(1, [events([2, 3, 4, 5])]);
    const batches = await read(tailSource({ open: opened(stream), untilCaughtUp: false, awaitMs: 1 }), undefined, 3);
    expect(countOf(batches)).toBe(3);
    expect(endOf(batches).stream?.token).toBe("4");
  });
});

describe("captureSource()", () => {
  function settings(
    streams: EventStream[],
    collections: readonly RangeReadable[],
    changes: Partial<CaptureSettings> = {},
  ): CaptureSettings {
    return {
      open: async () => {
        const stream = streams.shift();
        if (!stream) throw new Error("opened once too often");
        return stream;
      },
      untilCaughtUp: true,
      awaitMs: 1,
      collections: async () => collections,
      throttle: createThrottle({ bytesPerSecond: undefined, lag: undefined }),
      onHistoryLost: "next-run",
      onCopyAgain: () => undefined,
      ...changes,
    };
  }

  test("pins its position, and every collection in it, before it reads the first chunk", async () => {
    const collection = collectionOf("a", 4, [5]);
    let reads = 0;
    const counted: RangeReadable = { ...collection, read: (...args) => ((reads += 1), collection.read(...args)) };
    const source = captureSource(settings([new ScriptedStream(1, [])], [counted]));
    const iterator = source(undefined, never, Infinity)[Symbol.asyncIterator]();
    const { value } = (await iterator.next()) as { value: Batch };
    expect(value.documents.count).toBe(0);
    expect(phasesOf(value.position ?? { collections: {} })).toEqual({ "shop.a": "pinned" });
    expect(reads).toBe(0);
    await iterator.return?.();
  });

  test("copies collections one after the other while the stream goes on; then they are live", async () => {
    const stream = new ScriptedStream(1, [events([2, 3]), events([], 9)]);
    const batches = await read(
      captureSource(settings([stream], [collectionOf("a", 4, [2, 3]), collectionOf("b", 2, [4])])),
    );
    expect(countOf(batches.filter(({ kind }) => kind === "rows"))).toBe(6);
    expect(countOf(batches.filter(({ kind }) => kind === "events"))).toBe(2);
    expect(endOf(batches).collections).toEqual({
      "shop.a": { phase: "live", copied: { documents: 4, ranges: 1 } },
      "shop.b": { phase: "live", copied: { documents: 2, ranges: 1 } },
    });
  });

  test("goes on behind any batch of an earlier run: each document once", async () => {
    const collections = [collectionOf("a", 5, [1]), collectionOf("b", 4, [1])];
    const whole = await read(captureSource(settings([new ScriptedStream(1, [])], collections)));
    expect(countOf(whole)).toBe(9);
    for (const [i, { position }] of whole.entries()) {
      const rest = await read(captureSource(settings([new ScriptedStream(1, [])], collections)), position);
      expect(countOf(rest)).toBe(countOf(whole.slice(i + 1)));
    }
  });

  test.each([1, 2, 3, 5, 7, 8])(
    "yields exactly %p documents and events if that is the limit, from whatever source",
    async (limit) => {
      const stream = new ScriptedStream(1, [events([2, 3]), events([4], 9)]);
      const collections = [collectionOf("a", 3, [3]), collectionOf("b", 4, [3])];
      expect(countOf(await read(captureSource(settings([stream], collections)), undefined, limit))).toBe(limit);
    },
  );

  describe("whose chunks have to wait", () => {
    /** A pace that lets nothing through until it is told to, and a collection that is read by it. */
    function held(): { throttle: ReadThrottle; collection: RangeReadable; letThrough: () => void } {
      const open = Promise.withResolvers<void>();
      const clock = {
        now: () => performance.now(),
        sleep: async (_: number, signal: AbortSignal): Promise<void> => {
          const aborted = Promise.withResolvers<never>();
          signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
          await Promise.race([open.promise, aborted.promise]);
        },
      };
      const lag = {
        measure: () => Promise.resolve(20_000),
        mostMs: 10_000,
        warn: () => (lag.measure = () => Promise.resolve(0)),
      };
      const throttle = createThrottle({ bytesPerSecond: undefined, lag }, { ...clock, now: () => (moment += 1_000) });
      let moment = 0;
      const collection = collectionOf("a", 2, [4]);
      const read: RangeReadable["read"] = (...asked) => throttle.throttled(collection.read(...asked), asked[1]);
      return { throttle, collection: { ...collection, read }, letThrough: open.resolve };
    }

    test("yields events and its position meanwhile, and the chunk in its turn", async () => {
      const { throttle, collection, letThrough } = held();
      const stream = new ScriptedStream(1, [events([2]), events([], 3), events([4])]);
      const kinds: string[] = [];
      for await (const batch of captureSource(settings([stream], [collection], { throttle }))(
        undefined,
        never,
        Infinity,
      )) {
        const { count: length } = batch.documents;
        if (length > 0) kinds.push(batch.kind);
        if (batch.position?.stream?.token === "4") letThrough();
      }
      expect(kinds).toEqual(["events", "events", "rows"]);
    });

    test("does not wait for them when the events have reached the limit", async () => {
      const { throttle, collection } = held();
      const stream = new ScriptedStream(1, [events([2, 3, 4])]);
      const batches = await read(captureSource(settings([stream], [collection], { throttle })), undefined, 2);
      expect(countOf(batches)).toBe(2);
      expect(endOf(batches).stream?.token).toBe("3");
    });
  });

  describe("whose history is lost", () => {
    const lost = (): EventStream =>
      Object.assign(new ScriptedStream(1, []), {
        hasPassed: () => false,
        next: async () => Promise.reject(new MongotapError("history-lost", "gone")),
      });
    const LIVE: Position = { collections: { "shop.a": { phase: "live", copied: { documents: 4, ranges: 1 } } } };

    async function run(source: Source): Promise<{ batches: Batch[]; thrown: unknown }> {
      const batches: Batch[] = [];
      try {
        for await (const batch of source(LIVE, never, Infinity)) batches.push(batch);
        return { batches, thrown: undefined };
      } catch (thrown) {
        return { batches, thrown };
      }
    }

    test("marks everything as stale and ends, so that the next run copies again", async () => {
      const { batches, thrown } = await run(captureSource(settings([lost()], [collectionOf("a", 4, [1])])));
      expect(thrown).toMatchObject({
        kind: "history-lost",
        message: expect.stringContaining("the next run will backfill again"),
      });
      expect(endOf(batches)).toEqual({
        collections: { "shop.a": { phase: "stale", voided: false } },
        losses: 1,
      });
      const next = await read(
        captureSource(settings([new ScriptedStream(1, [])], [collectionOf("a", 4, [1])])),
        endOf(batches),
      );
      expect(countOf(next)).toBe(4);
      expect(phasesOf(endOf(next))).toEqual({ "shop.a": "live" });
    });

    test("copies again at once, if so configured", async () => {
      const streams = [lost(), new ScriptedStream(1, [])];
      const { batches, thrown } = await run(
        captureSource(settings(streams, [collectionOf("a", 4, [1])], { onHistoryLost: "now" })),
      );
      expect(thrown).toBeUndefined();
      expect(countOf(batches)).toBe(4);
    });

    test("fails, if so configured: the saved position stays", async () => {
      const { batches, thrown } = await run(
        captureSource(settings([lost()], [collectionOf("a", 4, [1])], { onHistoryLost: "fail" })),
      );
      expect(thrown).toMatchObject({ kind: "history-lost" });
      expect(phasesOf(endOf(batches))).toEqual({ "shop.a": "live" });
    });
  });
});

test("recoveryOf() gives up after three losses in a row, and says what to do", () => {
  let position: Position = { collections: {} };
  const goesOn: boolean[] = [];
  for (let loss = 1; loss <= 4; loss += 1) {
    const recovery = recoveryOf(new MongotapError("history-lost", "gone"), position, "now");
    goesOn.push(recovery.goOn);
    position = recovery.position ?? position;
    if (!recovery.goOn) expect(recovery.error.hint).toContain("Enlarge the oplog");
  }
  expect(goesOn).toEqual([true, true, true, false]);
});
