import { describe, expect, test } from "bun:test";
import { chunkBytesAt, type Clock, createThrottle, type ReadThrottle } from "../../src/pipeline/throttle.ts";
import type { Chunk } from "../../src/source/record.ts";
import { rejectionOf } from "../support/rejection.ts";
import { documentsOf, time } from "./fakes.ts";

const never = new AbortController().signal;
const MB = 1_000_000;

/** Time stops until all work waits for it, then advances to the next timer. */
class FalseClock implements Clock {
  #now = 0;
  readonly #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  readonly now = (): number => this.#now;

  readonly sleep = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      this.#sleepers.push({ at: this.#now + ms, wake: resolve });
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });

  /** Resolves as `work` does, or `undefined` when it still waits after so many ms. */
  async run<T>(work: Promise<T>, ms = Infinity): Promise<T | undefined> {
    const end = this.#now + ms;
    let isOver = false;
    const over = (): void => void (isOver = true);
    work.then(over, over);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isOver) return await work;
      this.#sleepers.sort((a, b) => a.at - b.at);
      const next = this.#sleepers.shift();
      if (next === undefined) throw new Error("nobody sleeps, and nothing happens");
      if (next.at > end) {
        this.#sleepers.unshift(next);
        this.#now = end;
        return undefined;
      }
      this.#now = next.at;
      next.wake();
    }
  }
}

/** Chunks of the given sizes; `read` is called when one is requested. */
async function* chunksOf(
  sizes: Iterable<number>,
  read: (bytes: number) => unknown = () => undefined,
): AsyncGenerator<Chunk> {
  for (const size of sizes) {
    await read(size);
    yield { documents: documentsOf(size), at: time(0), exact: true, progress: { documents: 0, done: false } };
  }
}

async function drain(throttle: ReadThrottle, chunks: AsyncIterable<Chunk>, signal = never): Promise<number> {
  let bytes = 0;
  for await (const { documents } of throttle.throttled(chunks, signal)) bytes += documents.byteLength;
  return bytes;
}

function* repeat(size: number, count: number): Generator<number> {
  for (let i = 0; i < count; i += 1) yield size;
}

/** The most bytes within ten seconds, of what came when. */
function mostInTenSeconds(came: readonly (readonly [at: number, bytes: number])[]): number {
  return Math.max(
    ...came.map(([from]) =>
      came.filter(([at]) => at >= from && at < from + 10_000).reduce((sum, [, bytes]) => sum + bytes, 0),
    ),
  );
}

describe("a rate", () => {
  const limited = (clock: Clock, bytesPerSecond = MB): ReadThrottle =>
    createThrottle({ bytesPerSecond, lag: undefined }, clock);

  test("chunks are a quarter of a second's worth, and not less than 64 KiB", () => {
    expect([10 * MB, MB, 100_000].map(chunkBytesAt)).toEqual([2_500_000, 250_000, 65_536]);
  });

  test("holds over the whole, whatever the sizes of the chunks", async () => {
    const clock = new FalseClock();
    const sizes = Array.from({ length: 200 }, (_, i) => 50_000 + ((i * 7919) % 250_000));
    const bytes = await clock.run(drain(limited(clock), chunksOf(sizes)));
    expect(clock.now() / 1000).toBeWithin(((bytes ?? 0) / MB) * 0.97, ((bytes ?? 0) / MB) * 1.03);
  });

  test.each([1, 8])("holds within 10 %% in any ten seconds, with %d readers that share it", async (readers) => {
    const clock = new FalseClock();
    const throttle = limited(clock);
    const came: [number, number][] = [];
    const note = (bytes: number): unknown => came.push([clock.now(), bytes]);
    const read = (): Promise<number> => drain(throttle, chunksOf(repeat(chunkBytesAt(MB), 160 / readers), note));
    await clock.run(Promise.all(Array.from({ length: readers }, read)));
    expect(mostInTenSeconds(came) / MB).toBeWithin(9, 11);
    expect(clock.now() / 1000).toBeWithin(36, 42);
  });

  test("is not made up for by a burst after a pause", async () => {
    const clock = new FalseClock();
    const came: [number, number][] = [];
    const read = async (bytes: number): Promise<void> => {
      came.push([clock.now(), bytes]);
      if (came.length === 10) await clock.sleep(60_000, never);
    };
    await clock.run(drain(limited(clock), chunksOf(repeat(250_000, 100), read)));
    expect(mostInTenSeconds(came) / MB).toBeLessThan(11);
  });

  test("makes up for timers that are late", async () => {
    const clock = new FalseClock();
    const late: Clock = { now: clock.now, sleep: (ms, signal) => clock.sleep(ms + 40, signal) };
    await clock.run(drain(limited(late), chunksOf(repeat(250_000, 100))));
    expect(clock.now() / 1000).toBeWithin(24, 25.5);
  });

  test("a chunk that is larger than expected is paid for by the next", async () => {
    const clock = new FalseClock();
    await clock.run(drain(limited(clock), chunksOf([5 * MB, 1])));
    expect(clock.now()).toBeWithin(4_500, 5_100);
  });

  test("a signal ends the wait with its reason, and the reading", async () => {
    const clock = new FalseClock();
    const stop = new AbortController();
    let isEnded = false;
    const chunks = (async function* () {
      try {
        yield* chunksOf(repeat(5 * MB, 5));
      } finally {
        isEnded = true;
      }
    })();
    const reading = rejectionOf(drain(limited(clock), chunks, stop.signal));
    expect(await clock.run(reading, 1_000)).toBeUndefined();
    stop.abort(new Error("enough"));
    expect((await reading).message).toBe("enough");
    expect(isEnded).toBe(true);
  });

  test("without one nothing waits", async () => {
    const clock = new FalseClock();
    const throttle = createThrottle({ bytesPerSecond: undefined, lag: undefined }, clock);
    expect(await clock.run(drain(throttle, chunksOf(repeat(MB, 20))))).toBe(20 * MB);
    expect(clock.now()).toBe(0);
    expect(throttle.chunkBytes).toBe(Infinity);
  });
});

describe("a majority that lags", () => {
  const MOST = 10_000;

  function lagging(clock: Clock, lagAt: (ms: number) => number | undefined) {
    const asked: number[] = [];
    const warnings: string[] = [];
    const measure = (): Promise<number | undefined> => {
      asked.push(clock.now());
      return Promise.resolve(lagAt(clock.now()));
    };
    const lag = { measure, mostMs: MOST, warn: (message: string) => void warnings.push(message) };
    return { asked, warnings, throttle: createThrottle({ bytesPerSecond: undefined, lag }, clock) };
  }

  test("holds chunks back until it has caught up, and reports both once", async () => {
    const clock = new FalseClock();
    const { throttle, warnings } = lagging(clock, (ms) => (ms < 30_000 ? 14_000 : 2_000));
    const came: number[] = [];
    await clock.run(
      drain(
        throttle,
        chunksOf(repeat(1, 3), () => came.push(clock.now())),
      ),
    );
    expect(came[0]).toBeWithin(30_000, 36_000);
    expect(warnings).toEqual([
      "the majority of the replica set is 14 s behind its primary: reading waits (--max-lag)",
      "reading goes on",
    ]);
  });

  test("for the moment after the first write of a quiet hour holds nothing back", async () => {
    const clock = new FalseClock();
    const { throttle, asked, warnings } = lagging(clock, (ms) => (ms < 50 ? 3_600_000 : 0));
    await clock.run(drain(throttle, chunksOf([1])));
    expect({ asked, warnings }).toEqual({ asked: [0, 200], warnings: [] });
  });

  test("is measured once a second at most, and less often the longer it lasts", async () => {
    const clock = new FalseClock();
    const { throttle, asked } = lagging(clock, (ms) => (ms < 60_000 ? 14_000 : 0));
    await clock.run(
      drain(
        throttle,
        chunksOf(repeat(1, 50), () => clock.sleep(100, never)),
      ),
    );
    const gaps = asked.slice(1).map((at, i) => at - (asked[i] ?? 0));
    expect(gaps[0]).toBe(200); // whether the first one is more than a moment
    expect(Math.min(...gaps.slice(1))).toBeGreaterThanOrEqual(800);
    expect(Math.max(...gaps)).toBe(5_000);
    expect(asked.length).toBeLessThan(25);
  });

  test("is reported again each minute", async () => {
    const clock = new FalseClock();
    const { throttle, warnings } = lagging(clock, (ms) => (ms < 190_000 ? ms + 11_000 : 0));
    await clock.run(drain(throttle, chunksOf([1])));
    expect(warnings.slice(1)).toEqual([
      expect.stringMatching(
        /^reading has waited for 1 min: the majority of the replica set is 7\d s behind its primary$/,
      ),
      expect.stringMatching(/^reading has waited for 2 min/),
      expect.stringMatching(/^reading has waited for 3 min/),
      "reading goes on",
    ]);
  });

  test("about the limit is reported once", async () => {
    const clock = new FalseClock();
    const { throttle, warnings } = lagging(clock, (ms) => (ms > 55_000 ? 0 : ms % 2_000 < 1_000 ? 11_000 : 9_000));
    await clock.run(drain(throttle, chunksOf(repeat(1, 10))));
    expect(warnings).toHaveLength(2);
  });

  test("that is unknown holds nothing back", async () => {
    const clock = new FalseClock();
    const { throttle, warnings } = lagging(clock, () => undefined);
    expect(await clock.run(drain(throttle, chunksOf(repeat(1, 3))))).toBe(3);
    expect([clock.now(), warnings]).toEqual([0, []]);
  });

  test("is reported once by readers that share it; a signal ends their wait", async () => {
    const clock = new FalseClock();
    const { throttle, warnings } = lagging(clock, () => 20_000);
    const stop = new AbortController();
    const readers = [1, 2, 3].map(() => rejectionOf(drain(throttle, chunksOf([1]), stop.signal)));
    expect(await clock.run(Promise.all(readers), 30_000)).toBeUndefined();
    expect(warnings).toHaveLength(1);
    stop.abort(new Error("enough"));
    expect((await Promise.all(readers)).map(({ message }) => message)).toEqual(["enough", "enough", "enough"]);
  });
});

test("no wait follows the last chunk", async () => {
  const clock = new FalseClock();
  const throttle = createThrottle({ bytesPerSecond: MB, lag: undefined }, clock);
  const last = { documents: documentsOf(5 * MB), at: time(0), exact: true, progress: { documents: 1, done: true } };
  await clock.run(
    drain(
      throttle,
      (async function* () {
        yield last;
      })(),
    ),
  );
  expect(clock.now()).toBe(0);
});

test("it is holding while all that is waited for has yet to be asked for", async () => {
  const clock = new FalseClock();
  const throttle = createThrottle({ bytesPerSecond: MB, lag: undefined }, clock);
  const during: boolean[] = [];
  const chunks = throttle.throttled(
    chunksOf(repeat(MB, 3), () => during.push(throttle.isBlocked)),
    never,
  );
  const seen: boolean[] = [];
  for (let i = 0; i < 3; i += 1) {
    const next = chunks.next();
    await clock.run(next, 10);
    seen.push(throttle.isBlocked);
    await clock.run(next);
  }
  expect([during, seen]).toEqual([
    [false, false, false],
    [false, true, true],
  ]);
  expect(throttle.requested).toBe(3);
  await chunks.return(undefined);
  expect(throttle.isBlocked).toBe(false);
});
