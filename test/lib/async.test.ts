import { describe, expect, test } from "bun:test";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import {
  eventLoopTurn,
  inOrder,
  isSettledWithin,
  prefetch,
  settledWithin,
  sleep as abortableSleep,
} from "../../src/lib/async.ts";

/** Records which tasks start and end, and the most that run at once. */
class Watched {
  readonly started: number[] = [];
  readonly ended: number[] = [];
  most = 0;

  async *run(task: number, ms: number, items = 2): AsyncGenerator<string> {
    this.started.push(task);
    this.most = Math.max(this.most, this.started.length - this.ended.length);
    try {
      for (let item = 0; item < items; item += 1) {
        await sleep(ms);
        yield `${task}.${item}`;
      }
    } finally {
      this.ended.push(task);
    }
  }
}

async function* upTo(count: number): AsyncGenerator<number> {
  for (let task = 0; task < count; task += 1) {
    await sleep(1);
    yield task;
  }
}

describe("inOrder()", () => {
  test("yields the items in the order of the tasks, whatever order they end in", async () => {
    const watched = new Watched();
    const items = await Array.fromAsync(inOrder(upTo(9), 4, (task) => watched.run(task, 10 - task)));
    expect(items).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((task) => [`${task}.0`, `${task}.1`]));
    expect(new Set(watched.ended)).toEqual(new Set(watched.started));
    expect(watched.ended).toHaveLength(watched.started.length);
  });

  test("runs up to `width` tasks at once, and no more", async () => {
    const watched = new Watched();
    for await (const item of inOrder(upTo(20), 3, (task) => watched.run(task, 1))) {
      await sleep(5);
      const current = Number(item.split(".")[0]);
      expect(watched.started.length).toBeLessThanOrEqual(current + 3);
    }
    expect(watched.most).toBe(3);
  });

  test("yields nothing without tasks", async () => {
    expect(await Array.fromAsync(inOrder(upTo(0), 3, (task) => new Watched().run(task, 1)))).toEqual([]);
  });

  test("throws the error of a task after the items before it, and returns the other tasks", async () => {
    const watched = new Watched();
    const failing = async function* (task: number): AsyncGenerator<string> {
      if (task === 2) throw new Error("the third");
      yield* watched.run(task, 5);
    };
    const items: string[] = [];
    const all = async (): Promise<void> => {
      for await (const item of inOrder(upTo(9), 4, failing)) items.push(item);
    };
    expect(await all().catch(String)).toBe("Error: the third");
    expect(items).toEqual(["0.0", "0.1", "1.0", "1.1"]);
    expect(new Set(watched.ended)).toEqual(new Set(watched.started));
    expect(watched.ended).toHaveLength(watched.started.length);
  });

  test("throws the error of `tasks` after the items of the tasks before it", async () => {
    const tasks = async function* (): AsyncGenerator<number> {
      yield* upTo(2);
      throw new Error("no more");
    };
    const items: string[] = [];
    const all = async (): Promise<void> => {
      for await (const item of inOrder(tasks(), 4, (task) => new Watched().run(task, 1))) items.push(item);
    };
    expect(await all().catch(String)).toBe("Error: no more");
    expect(items).toEqual(["0.0", "0.1", "1.0", "1.1"]);
  });

  test("returns all tasks, and `tasks`, when the consumer returns", async () => {
    const watched = new Watched();
    let isEnded = false;
    const tasks = async function* (): AsyncGenerator<number> {
      try {
        yield* upTo(9);
      } finally {
        isEnded = true;
      }
    };
    for await (const item of inOrder(tasks(), 4, (task) => watched.run(task, 1))) if (item === "1.0") break;
    expect(new Set(watched.ended)).toEqual(new Set(watched.started));
    expect(watched.ended).toHaveLength(watched.started.length);
    expect(isEnded).toBe(true);
  });
});

describe("prefetch()", () => {
  test("reads up to `depth` items ahead of the consumer, and no more", async () => {
    let read = 0;
    const source = async function* (): AsyncGenerator<number> {
      for (; read < 10; read += 1) yield read;
    };
    for await (const item of prefetch(source(), 3)) {
      await sleep(1);
      expect(read - item).toBeLessThanOrEqual(3);
      if (item === 5) expect(read).toBe(8);
    }
    expect(read).toBe(10);
  });

  test("throws an error after the items before it", async () => {
    const source = async function* (): AsyncGenerator<number> {
      yield* [1, 2];
      throw new Error("the third");
    };
    const items: number[] = [];
    const all = async (): Promise<void> => {
      for await (const item of prefetch(source(), 5)) items.push(item);
    };
    expect(await all().catch(String)).toBe("Error: the third");
    expect(items).toEqual([1, 2]);
  });

  test("with a turn of the event loop, yields an item once the request for the next one has been sent", async () => {
    let sent = 0;
    const source = async function* (): AsyncGenerator<number> {
      for (let item = 1; item <= 5; item += 1) {
        for (let i = 0; i < 100; i += 1) await Promise.resolve(); // the driver too needs some promises
        sent = item;
        await setImmediate();
        yield item;
      }
    };
    for await (const item of prefetch(source(), 1, eventLoopTurn)) {
      expect(sent).toBe(Math.min(item + 1, 5));
      const until = performance.now() + 5;
      while (performance.now() < until); // as encoding does
    }
  });

  test("without one, yields an item that has been read before the event loop turns", async () => {
    const source = async function* (): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => undefined);
    };
    let turned = false;
    const items = prefetch(source(), 2);
    void setImmediate().then(() => (turned = true));
    expect(await items.next()).toEqual({ done: false, value: 1 });
    expect(turned).toBe(false); // a timer could take a chunk that has been read for one that is not requested yet
  });

  test("returns the source when the consumer returns", async () => {
    const watched = new Watched();
    for await (const item of prefetch(watched.run(1, 1, 9), 2)) if (item === "1.1") break;
    expect(watched.ended).toEqual([1]);
  });
});

describe("waiting", () => {
  const reason = new Error("stopped");
  const forever = new Promise<never>(() => undefined);

  test("sleep() rejects with the signal's reason as soon as it aborts, and before it starts", async () => {
    const controller = new AbortController();
    const slept = abortableSleep(60_000, controller.signal).catch((error: unknown) => error);
    controller.abort(reason);
    expect(await slept).toBe(reason);
    expect(await abortableSleep(0, controller.signal).catch((error: unknown) => error)).toBe(reason);
  });

  test("isSettledWithin() is true for work that resolves or rejects in time, and never rejects", async () => {
    expect(await isSettledWithin(Promise.resolve(), 60_000)).toBe(true);
    expect(await isSettledWithin(Promise.reject(reason), 60_000)).toBe(true);
    expect(await isSettledWithin(forever, 1)).toBe(false);
  });

  test("settledWithin() settles as the work does, until the grace after the abort is over", async () => {
    const { signal } = new AbortController();
    expect(await settledWithin(Promise.resolve(7), signal, 0)).toBe(7);
    expect(await settledWithin(Promise.reject(reason), signal, 0).catch((error: unknown) => error)).toBe(reason);
    const aborted = AbortSignal.abort(reason);
    expect(await settledWithin(sleep(5, "in time"), aborted, 60_000)).toBe("in time");
    expect(await settledWithin(forever, aborted, 1).catch((error: unknown) => error)).toBe(reason);
  });
});
