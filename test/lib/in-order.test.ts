import { describe, expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inOrder } from "../../src/lib/async.ts";

/** What has been started and ended, and how many there are at once. */
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
  test("yields what the tasks yield in the order of the tasks, whichever is done first", async () => {
    const watched = new Watched();
    const items = await Array.fromAsync(inOrder(upTo(9), 4, (task) => watched.run(task, 10 - task)));
    expect(items).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((task) => [`${task}.0`, `${task}.1`]));
    expect(new Set(watched.ended)).toEqual(new Set(watched.started));
    expect(watched.ended).toHaveLength(watched.started.length);
  });

  test("starts so many tasks before their turn, and no more", async () => {
    const watched = new Watched();
    for await (const item of inOrder(upTo(20), 3, (task) => watched.run(task, 1))) {
      await sleep(5);
      const current = Number(item.split(".")[0]);
      expect(watched.started.length).toBeLessThanOrEqual(current + 3);
    }
    expect(watched.most).toBe(3);
  });

  test("takes nothing where there is nothing", async () => {
    expect(await Array.fromAsync(inOrder(upTo(0), 3, (task) => new Watched().run(task, 1)))).toEqual([]);
  });

  test("tells the failure of a task in its turn, and ends the others", async () => {
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

  test("tells the failure of what gives the tasks behind those that it has given", async () => {
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

  test("ends everything when no more is taken", async () => {
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
