import { beforeEach, describe, expect, test } from "bun:test";
import { MongotapError } from "../../src/errors.ts";
import { sleep } from "../../src/lib/async.ts";
import { Stop } from "../../src/lib/process.ts";
import { pump, type PumpResult, type PumpSettings } from "../../src/pipeline/pump.ts";
import { take } from "../../src/pipeline/limit.ts";
import type { Batch, Position, Source } from "../../src/source/record.ts";
import { rejectionOf } from "../support/rejection.ts";
import { at, events, lineEncoder, LoggingSink, rows } from "./fakes.ts";

/** What happened, in its order. */
let log: string[];
let sink: LoggingSink;
let now: number;

beforeEach(() => {
  log = [];
  sink = new LoggingSink(log);
  now = 0;
});

function nameOf(position: Position | undefined): string {
  return position?.stream?.token ?? "nowhere";
}

/** What a source does in its turn: yield a batch, fail, or something else (let time go by). */
type Deed = Batch | Error | (() => void | Promise<void>);

/** The n-th opening does the n-th list of deeds. */
function sourceOf(openings: readonly (readonly Deed[])[]): Source {
  let opening = 0;
  return async function* source(from, signal, wanted) {
    log.push(`open at ${nameOf(from)}${wanted === Infinity ? "" : ` for ${wanted}`}`);
    signal.throwIfAborted();
    const deeds = openings[opening] ?? [];
    opening += 1;
    for (const deed of deeds) {
      signal.throwIfAborted();
      if (deed instanceof Error) throw deed;
      if (typeof deed === "function") await deed();
      else yield deed;
    }
  };
}

/** Runs the pump over a source. */
function run(openings: readonly (readonly Deed[])[], changes: Partial<PumpSettings> = {}): Promise<PumpResult> {
  return pump({
    source: take(sourceOf(openings), Infinity),
    from: undefined,
    encoder: lineEncoder,
    sink,
    async save(position, marks) {
      log.push(`save ${nameOf(position)} with ${marks[0]?.bytes ?? 0}`);
    },
    retryForMs: 60_000,
    signal: new AbortController().signal,
    onWritten: () => undefined,
    savepoint: () => () => void log.push("counts set back"),
    onRetry: () => log.push("retry"),
    clock: () => now,
    random: () => 0,
    ...changes,
  });
}

const lost = (): MongotapError => new MongotapError("connect", "the connection was lost");
/** Lets so many milliseconds go by, when all before it has been written. */
const wait = (ms: number) => async (): Promise<void> => {
  await Bun.sleep(1);
  now += ms;
};

describe("pump() commits", () => {
  test("bytes first, then the position that covers them, never the other way round", async () => {
    await run([[events([], 1), events([2, 3]), wait(1_000), events([4]), wait(1_000), events([5, 6])]]);
    let flushed = 0;
    let written = 0;
    for (const entry of log) {
      const [what, bytes] = entry.split(" ");
      if (what === "write") written += Number(bytes);
      if (what === "flush") flushed = Number(bytes);
      if (what === "save") expect(Number(entry.split(" ").at(-1))).toBe(flushed);
    }
    expect(written).toBe(5);
    expect(log.at(-1)).toBe("save 6 with 5");
  });

  test("the first position at once, before any line: from then on nothing can be lost", async () => {
    await run([[events([], 1), wait(1), lost()]], { retryForMs: 0 }).catch(() => undefined);
    expect(log).toEqual(["open at nowhere", "flush 0", "save 1 with 0"]);
  });

  test("lines once a second, a position alone every ten seconds", async () => {
    const quiet = [2, 3, 4].flatMap((n) => [wait(4_000), events([], n)]);
    await run([[events([], 1), ...quiet, wait(500), events([6]), wait(500), events([7]), wait(0)]]);
    expect(log.filter((entry) => entry.startsWith("save"))).toEqual([
      "save 1 with 0", // at once
      "save 4 with 0", // after 12 s
      "save 7 with 2", // a second after the last, with lines
    ]);
  });

  test("nothing where the run keeps no state", async () => {
    const { outcome, position } = await run([[events([1]), events([2])]], { save: undefined });
    expect({ outcome, position: nameOf(position) }).toEqual({ outcome: "finished", position: "2" });
    expect(log).toEqual(["open at nowhere", "write 1", "write 1"]);
  });

  test("no position while lines are out that no position covers (a view that is half read)", async () => {
    await run([[rows(2, undefined), wait(5_000), rows(2, undefined), wait(5_000), rows(1, at(9)), wait(0)]]);
    expect(log).toEqual(["open at nowhere", "write 2", "write 2", "write 1", "flush 5", "save 9 with 5"]);
  });
});

describe("pump() goes on after a failure of the source", () => {
  test("where its lines have been written to, not where they were committed: nothing twice, nothing lost", async () => {
    await run([
      [events([1]), events([2]), events([3]), wait(0), lost()],
      [events([4]), wait(0)],
    ]);
    expect(log.filter((entry) => entry.startsWith("open"))).toEqual(["open at nowhere", "open at 3"]);
    expect(log.filter((entry) => entry.startsWith("write"))).toHaveLength(4);
    expect(log.at(-1)).toBe("save 4 with 4");
  });

  test("for as long as it may, counted from the first failure without a reply in between", async () => {
    const failing = (): readonly Deed[] => [events([], 1), wait(30_000), lost()];
    const error = await run([failing(), failing(), failing(), failing()]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "connect" });
    // Opening alone is no progress: at 30, 60 and 90 s it had failed for 0, 30 and 60 s.
    expect(log.filter((entry) => entry === "retry")).toHaveLength(2);
  });

  test("for ever, as long as replies come in between", async () => {
    const working = (): readonly Deed[] => [events([], 1), wait(59_000), events([2]), wait(0), lost()];
    const { outcome } = await run([...Array.from({ length: 5 }, working), [events([], 1)]]);
    expect(outcome).toBe("finished");
    expect(log.filter((entry) => entry === "retry")).toHaveLength(5);
  });

  test("with what is left of the limit", async () => {
    const openings = [[events([1, 2, 3]), wait(0), lost()], [events([4, 5])]];
    await run([], { source: take(sourceOf(openings), 5) });
    expect(log.filter((entry) => entry.startsWith("open"))).toEqual(["open at nowhere for 5", "open at 3 for 2"]);
  });

  test.each([
    ["of a kind that no retry cures", new MongotapError("auth", "not you"), [events([], 1)]],
    ["that is not known", new Error("a bug"), [events([], 1)]],
    ["before it was ever open", lost(), []],
    ["amid lines that no position covers", lost(), [events([], 1), rows(2, undefined)]],
  ] as const)("not after one %s", async (_, failure, before) => {
    const thrown = await run([[...before, wait(0), failure], [events([5])]]).catch((error: unknown) => error);
    expect(thrown).toBe(failure);
    expect(log.filter((entry) => entry.startsWith("open"))).toHaveLength(1);
  });

  test("before it was ever open only where the server asks for patience", async () => {
    const busy = new MongotapError("connect", "overloaded", { retryAfterMs: 5 });
    const waits: number[] = [];
    const onRetry = (_: MongotapError, ms: number): void => void waits.push(ms);
    const { outcome } = await run([[busy], [events([], 1)]], { onRetry });
    expect([outcome, waits]).toEqual(["finished", [50]]);
  });

  test("and has committed before it fails for good, so that the next run begins behind the last line", async () => {
    await run([[events([], 1), events([2]), wait(0), new MongotapError("auth", "not you")]]).catch(() => undefined);
    expect(log.at(-1)).toBe("save 2 with 1");
  });
});

test("pump() leaves sink and state alone after a failure of the sink: its content is unknown", async () => {
  sink.failAtWrite = 3;
  const thrown = await run([[events([1]), events([2]), events([3]), events([4])]]).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ message: "the disk is full" });
  expect(log.slice(log.lastIndexOf("write 1"))).toEqual(["write 1"]);
});

describe("pump() reports that the output failed in the background", () => {
  beforeEach(() => (sink.failsInBackground = true));

  test("instead of what the source failed with, and does not try that again", async () => {
    const { message } = await rejectionOf(run([[events([1]), lost()]], { save: undefined }));
    expect(message).toBe("the disk is full");
    expect(log).not.toContain("retry");
  });

  test("instead of coming to the end, or being stopped", async () => {
    expect((await rejectionOf(run([[events([1])]], { save: undefined }))).message).toBe("the disk is full");
    const stop = new AbortController();
    const deeds = [events([1]), async () => (await Bun.sleep(1), stop.abort(new Error("stop")))];
    const stopped = run([[...deeds, events([2])]], { save: undefined, signal: stop.signal });
    expect((await rejectionOf(stopped)).message).toBe("the disk is full");
  });

  test("while nothing comes that could be written", async () => {
    let turns = 0;
    const turn = async (): Promise<void> => (await wait(1)(), void (turns += 1));
    const deeds = [events([1]), turn, events([], 1), turn, events([], 1), turn, turn, turn, turn, events([], 1)];
    expect((await rejectionOf(run([deeds], { save: undefined }))).message).toBe("the disk is full");
    expect(turns).toBeLessThan(5);
  });
});

test("pump() leaves the state as it was when saving fails, and ends", async () => {
  let saves = 0;
  const failing = async (): Promise<void> => {
    saves += 1;
    throw new MongotapError("output", "no space left");
  };
  const thrown = await run([[events([1]), events([2]), lost()]], { save: failing }).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ kind: "output" });
  expect(saves).toBe(1);
});

describe("pump() does not wait for a source that waits itself", () => {
  /** A source that yields `batch`, then waits until the signal aborts. */
  const patient = (batch: Batch) =>
    async function* (_from: Position | undefined, signal: AbortSignal): AsyncGenerator<Batch> {
      yield batch;
      await sleep(60_000, signal);
    };

  test("when it has written as many documents as it may", async () => {
    const { outcome, position } = await run([], { source: take(patient(events([1, 2])), 2) });
    expect([outcome, nameOf(position)]).toEqual(["limited", "2"]);
  });

  test("when a write fails", async () => {
    sink.failAtWrite = 1;
    const error = await rejectionOf(run([], { source: take(patient(events([1, 2])), Infinity) }));
    expect(error.message).toBe("the disk is full");
  });
});

describe("pump() on a signal", () => {
  test("finishes the batch at hand, commits, and says so", async () => {
    const stop = new AbortController();
    const reason = new Stop({ kind: "signal", name: "SIGTERM", number: 15 });
    const deeds = [events([], 1), events([2, 3]), async () => (await Bun.sleep(1), stop.abort(reason)), events([4])];
    const { outcome, position } = await run([deeds], { signal: stop.signal });
    expect({ outcome, position: nameOf(position) }).toEqual({ outcome: "stopped", position: "3" });
    expect(log.at(-1)).toBe("save 3 with 2");
  });

  test("while it waits for a retry, does not wait", async () => {
    const stop = new AbortController();
    const reason = new Stop({ kind: "signal", name: "SIGTERM", number: 15 });
    const began = performance.now();
    const patient = new MongotapError("connect", "overloaded", { retryAfterMs: 50_000 });
    const running = run([[events([], 1), wait(0), patient]], {
      signal: stop.signal,
      onRetry: () => stop.abort(reason),
    });
    expect((await running).outcome).toBe("stopped");
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test("during a write without a reader, abandons it: what is committed stays, and nothing more is written", async () => {
    const stop = new AbortController();
    const reason = new Stop({ kind: "signal", name: "SIGTERM", number: 15 });
    const stuck = new LoggingSink(log);
    stuck.write = () => new Promise(() => stop.abort(reason));
    const { outcome } = await run([[events([], 1), wait(0), events([2])]], { signal: stop.signal, sink: stuck });
    expect(outcome).toBe("cut");
    expect(log.at(-1)).toBe("save 1 with 0");
  });

  test("amid a write of a slow disk, waits for it and commits", async () => {
    const stop = new AbortController();
    const slow = new LoggingSink(log);
    slow.mayBlock = false;
    const write = slow.write.bind(slow);
    slow.write = async (bytes) => {
      stop.abort(new Stop({ kind: "signal", name: "SIGTERM", number: 15 }));
      await Bun.sleep(700);
      await write(bytes);
    };
    const { outcome } = await run([[events([], 1), wait(0), events([2])]], { signal: stop.signal, sink: slow });
    expect(outcome).toBe("stopped");
    expect(log.at(-1)).toBe("save 2 with 1");
  });
});

test("pump() that has written as many documents as it may says that it was limited, not that it came to the end", async () => {
  const limited = take(sourceOf([[events([1, 2]), events([3])]]), 3);
  expect((await run([], { source: limited })).outcome).toBe("limited");
  const finished = take(sourceOf([[events([1, 2])]]), 3);
  expect((await run([], { source: finished })).outcome).toBe("finished");
});
