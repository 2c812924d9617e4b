import { describe, expect, test } from "bun:test";
import { MongotapError } from "../../src/errors.ts";
import { backfillSource } from "../../src/pipeline/backfill.ts";
import { captureSource } from "../../src/pipeline/capture.ts";
import { tailSource } from "../../src/pipeline/tail.ts";
import { type LimitedSource, take } from "../../src/pipeline/limit.ts";
import type { Batch, Position, Source } from "../../src/source/record.ts";
import { rejectionOf } from "../support/rejection.ts";
import { at, collectionOf, events, rows, ScriptedStream } from "./fakes.ts";

const never = new AbortController().signal;

async function read(source: LimitedSource, from?: Position): Promise<Batch[]> {
  return await Array.fromAsync(source.open(from, never));
}

function countsOf(batches: readonly Batch[]): number[] {
  return batches.map(({ documents }) => documents.count);
}

/** Rows with a head whose position is the number of documents. */
function cuttable(count: number): Batch {
  return { ...rows(count, at(count)), head: (size) => rows(size, at(size)) };
}

/** Yields these batches; afterwards waits until the signal is aborted. */
function waiting(batches: readonly Batch[], log: unknown[] = []): Source {
  return async function* source(_from, signal, wanted) {
    log.push(wanted);
    try {
      yield* batches;
      const aborted = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
      if (signal.aborted) aborted.reject(signal.reason);
      await aborted.promise;
    } finally {
      log.push(signal.aborted ? "aborted" : "closed");
    }
  };
}

describe("take()", () => {
  test("ends behind the last document wanted, and cuts the batch that holds it", async () => {
    const taken = take(waiting([cuttable(2), events([], 5), cuttable(3), cuttable(4)]), 4);
    const batches = await read(taken);
    expect(countsOf(batches)).toEqual([2, 0, 2]);
    expect(batches.at(-1)?.position).toEqual(at(2));
    expect(taken.isReached).toBe(true);
  });

  test("cuts nothing where the limit is between two batches, and reads no further", async () => {
    const uncuttable = [rows(2, at(1)), rows(2, at(2)), rows(2, at(3))];
    expect(countsOf(await read(take(waiting(uncuttable), 4)))).toEqual([2, 2]);
  });

  test("says that the limit was not reached where the source ends before", async () => {
    const taken = take(async function* source() {
      yield* [cuttable(2), cuttable(1)];
    }, 4);
    expect(countsOf(await read(taken))).toEqual([2, 1]);
    expect(taken.isReached).toBe(false);
  });

  test("counts on over several openings, tells each how many are wanted, and opens nothing when none are", async () => {
    const asked: unknown[] = [];
    const failing: Source = async function* source(_from, _signal, wanted) {
      asked.push(wanted);
      yield cuttable(2);
      throw new MongotapError("connect", "lost");
    };
    const taken = take(failing, 5);
    expect((await rejectionOf(read(taken))).message).toBe("lost");
    expect((await rejectionOf(read(taken))).message).toBe("lost");
    expect([taken.isReached, countsOf(await read(taken)), taken.isReached]).toEqual([false, [1], true]);
    expect(await read(taken)).toEqual([]);
    expect(asked).toEqual([5, 3, 1]);
  });

  test("aborts the source, which may be waiting, when its last document has been taken", async () => {
    const log: unknown[] = [];
    const reader = take(waiting([cuttable(2)], log), 2)
      .open(undefined, never)
      [Symbol.asyncIterator]();
    await reader.next();
    expect(log).toEqual([2]);
    expect((await reader.next()).done).toBe(true);
    expect(log).toEqual([2, "aborted"]);
  });

  test("ignores what the source throws as it ends behind the limit", async () => {
    const taken = take(async function* source() {
      try {
        yield cuttable(2);
      } finally {
        await Promise.reject(new MongotapError("connect", "lost"));
      }
    }, 2);
    expect(countsOf(await read(taken))).toEqual([2]);
  });

  test("throws what the source throws before the limit, the reason of its signal included", async () => {
    const stop = new AbortController();
    const reason = new Error("stop");
    const reading = Array.fromAsync(take(waiting([cuttable(2)]), 3).open(undefined, stop.signal));
    setTimeout(() => stop.abort(reason), 5);
    expect(await rejectionOf(reading)).toBe(reason);
  });
});

describe("a run that was limited is resumed exactly behind its last document: a later run reads the others", () => {
  const TAIL = { untilCaughtUp: true, awaitMs: 1 };
  const EVENTS = [2, 3, 4, 5, 6, 7];

  /** Opens where it is told to, as a server does: with the events behind that position, three to a reply. */
  const streamBehind = async (position: Position["stream"]): Promise<ScriptedStream> => {
    const begin = Number(position?.token ?? 1);
    const left = EVENTS.filter((n) => n > begin);
    const replies = [left.slice(0, 3), left.slice(3)].filter((part) => part.length > 0);
    return Object.assign(
      new ScriptedStream(
        begin,
        replies.map((part) => events(part)),
      ),
      { serverTime: events([7]).position.stream?.time },
    );
  };
  const collections = [collectionOf("a", 5, [4]), collectionOf("b", 2, [5])];
  const policy = { onHistoryLost: "fail", onCopyAgain: () => undefined } as const;
  const throttle = { isBlocked: false, requested: 0 };

  test.each([
    ["backfill", () => backfillSource(collections), 7],
    ["tail", () => tailSource({ ...TAIL, open: streamBehind }), 6],
    [
      "capture",
      () => captureSource({ ...TAIL, ...policy, open: streamBehind, collections: async () => collections, throttle }),
      13,
    ],
  ] as const)("%s", async (_, sourceOf, total) => {
    for (let limit = 1; limit < total; limit += 1) {
      const first = await read(take(sourceOf(), limit));
      const position = first.findLast((batch) => batch.position !== undefined)?.position;
      const rest = await read(take(sourceOf(), Infinity), JSON.parse(JSON.stringify(position)) as Position);
      const sum = (batches: readonly Batch[]): number => countsOf(batches).reduce((a, b) => a + b, 0);
      expect([limit, sum(first), sum(rest)]).toEqual([limit, limit, total - limit]);
    }
  });
});
