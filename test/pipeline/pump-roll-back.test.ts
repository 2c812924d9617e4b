/** The pump amid lines that no position covers: a view that is half read. */
import { beforeEach, expect, test } from "bun:test";
import { MongotapError } from "../../src/errors.ts";
import { type LimitedSource, take } from "../../src/pipeline/limit.ts";
import { pump, type PumpResult, type PumpSettings } from "../../src/pipeline/pump.ts";
import type { Batch, Position, Source } from "../../src/source/record.ts";
import { rejectionOf } from "../support/rejection.ts";
import { at, lineEncoder, LoggingSink, rows } from "./fakes.ts";

/** What happened, in its order. */
let log: string[];
let now: number;

/** A sink whose bytes can be taken back. */
class FileLikeSink extends LoggingSink {
  override mayBlock = false;
  failsToRollBack = false;

  readonly rollBack = async (): Promise<void> => {
    log.push("roll back");
    if (this.failsToRollBack) throw new MongotapError("output", "the disk is gone");
  };
}

beforeEach(() => {
  log = [];
  now = 0;
});

const lost = (): MongotapError => new MongotapError("connect", "the connection was lost");
const view = (count: number) => (): Batch => ({ ...rows(count, undefined), head: (size) => rows(size, undefined) });
const covered = (count: number, n: number) => (): Batch => rows(count, at(n));

/** The n-th opening yields the n-th list, and fails where that has an error. The last list is for all openings behind it. */
function sourceOf(openings: readonly (readonly (() => Batch | Error)[])[], ms = 0): Source {
  let opening = 0;
  return async function* source(from: Position | undefined) {
    log.push(`open at ${from?.stream?.token ?? "nowhere"}`);
    const items = openings[Math.min(opening, openings.length - 1)] ?? [];
    opening += 1;
    for (const make of items) {
      const item = make();
      if (item instanceof Error) {
        await Bun.sleep(1); // all before it has been written
        now += ms;
        throw item;
      }
      yield item;
    }
  };
}

function run(source: LimitedSource, changes: Partial<PumpSettings> = {}): Promise<PumpResult> {
  return pump({
    source,
    from: undefined,
    encoder: lineEncoder,
    sink: new FileLikeSink(log),
    save: async (position, marks) => void log.push(`save ${position.stream?.token} with ${marks[0]?.bytes}`),
    retryForMs: 60_000,
    signal: new AbortController().signal,
    onWritten: ({ documents }) => log.push(`count ${documents.count}`),
    savepoint: () => () => void log.push("set the counts back"),
    onRetry: () => log.push("retry"),
    clock: () => now,
    random: () => 0,
    ...changes,
  });
}

const all = (source: Source): LimitedSource => take(source, Infinity);

test("what is before such lines is committed first; after an error they are taken back, then read again", async () => {
  const openings = [
    [covered(1, 1), covered(3, 2), view(2), view(2), lost],
    [view(2), view(2), covered(1, 3)],
  ];
  const { outcome } = await run(all(sourceOf(openings)));
  expect(outcome).toBe("finished");
  expect(log).toEqual([
    "open at nowhere",
    "write 1",
    "count 1",
    "flush 1",
    "save 1 with 1", // the first commit, at once
    "write 3",
    "count 3",
    "flush 4",
    "save 2 with 4", // the one before the view
    "write 2",
    "count 2",
    "write 2",
    "count 2",
    "retry",
    "roll back",
    "set the counts back",
    "open at 2",
    "write 2",
    "count 2",
    "write 2",
    "count 2",
    "write 1",
    "count 1",
    expect.stringMatching(/^flush/),
    expect.stringMatching(/^save 3/),
  ]);
});

test("without a state the sink is flushed before such lines, so that it knows where to go back to", async () => {
  const openings = [[covered(3, 2), view(2), lost], [view(2)]];
  await run(all(sourceOf(openings)), { save: undefined });
  expect(log.filter((entry) => !entry.startsWith("count"))).toEqual([
    "open at nowhere",
    "write 3",
    "flush 3",
    "write 2",
    "retry",
    "roll back",
    "set the counts back",
    "open at 2",
    "write 2",
  ]);
});

test("no roll-back while a position covers all lines", async () => {
  await run(all(sourceOf([[covered(3, 2), lost], [covered(2, 3)]])));
  expect(log).not.toContain("roll back");
});

test("--limit counts what was taken back as not read", async () => {
  const openings = [
    [covered(1, 1), view(2), view(2), lost],
    [view(2), view(2), view(2), covered(9, 3)],
  ];
  const { outcome } = await run(take(sourceOf(openings), 6));
  const kept = log.slice(log.indexOf("set the counts back")).filter((entry) => entry.startsWith("write"));
  expect([outcome, kept]).toEqual(["limited", ["write 2", "write 2", "write 1"]]);
});

test("a read that fails at the same place, each time, is given up when the time for it is over", async () => {
  const error = await rejectionOf(run(all(sourceOf([[view(2), view(2), lost]], 25_000))));
  expect(error.message).toBe("the connection was lost");
  // The first failure starts the clock; the fourth is 75 s behind it.
  expect(log.filter((entry) => entry === "retry")).toHaveLength(3);
});

test("a read that gets further each time is no failure", async () => {
  const further = [1, 2, 3, 4, 5, 6].map((count) => [...Array.from({ length: count }, () => view(2)), lost]);
  const { outcome } = await run(all(sourceOf([...further, [view(2), covered(1, 3)]], 50_000)));
  expect([outcome, log.filter((entry) => entry === "retry").length]).toEqual(["finished", 6]);
});

test("where the output cannot be cut back, the run ends, and what was committed before stays", async () => {
  const openings = [[covered(3, 2), view(2), lost], [view(2)]];
  const error = await rejectionOf(run(all(sourceOf(openings)), { sink: new LoggingSink(log) }));
  expect(error.message).toBe("the connection was lost");
  expect(log.filter((entry) => entry.startsWith("save"))).toEqual(["save 2 with 3"]);
  expect(log).not.toContain("retry");
});

test("an output that cannot be cut back after all ends the run: its content is unknown", async () => {
  const sink = new FileLikeSink(log);
  sink.failsToRollBack = true;
  const error = await rejectionOf(run(all(sourceOf([[view(2), lost], [view(2)]])), { sink }));
  expect(error.message).toBe("the disk is gone");
  expect(log.at(-1)).toBe("roll back");
});
