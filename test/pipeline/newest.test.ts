import { describe, expect, test } from "bun:test";
import { newestSource, type NewestSettings } from "../../src/pipeline/newest.ts";
import {
  type EventBatch,
  type EventStream,
  incrementOf,
  type Position,
  sortKeyTime,
  type StreamPosition,
} from "../../src/source/record.ts";
import { events, ScriptedStream, time } from "./fakes.ts";

const never = new AbortController().signal;
const FROM: Position = { stream: { token: "1", resume: "resumeAfter", time: time(1), sequence: 0 }, collections: {} };

/** A stream whose server is at moment `serverAt` when it is opened. */
class StreamUpTo extends ScriptedStream {
  override readonly serverTime: ReturnType<typeof time>;

  constructor(serverAt: number, replies: readonly EventBatch[]) {
    super(1, replies);
    this.serverTime = time(serverAt);
  }
}

/** Each moment is a document of its own. */
class Moments {
  readonly seen: number[] = [];

  get size(): number {
    return this.seen.length;
  }

  add({ sortKeys }: EventBatch): void {
    this.seen.push(...sortKeys.map((key) => incrementOf(sortKeyTime(key))));
  }
}

interface Trial {
  readonly first: EventStream;
  readonly second: EventStream;
  readonly mostDocuments?: number;
}

function settingsFor({
  first,
  second,
  mostDocuments = 100,
}: Trial): NewestSettings<Moments> & { readonly cuts: number[] } {
  const cuts: number[] = [];
  return {
    changes: new Moments(),
    mostDocuments,
    cuts,
    openFirst: async () => first,
    openSecond: async () => second,
    isBehind: (one: StreamPosition, other: StreamPosition) => Number(one.token) > Number(other.token),
    onCut: () => cuts.push(1),
  };
}

/** The moments of the events of each batch, and where the stream is behind it. */
async function read(
  settings: NewestSettings<Moments>,
): Promise<(readonly [moments: number[], token: string | undefined])[]> {
  const found: (readonly [number[], string | undefined])[] = [];
  for await (const batch of newestSource(settings)(FROM, never, Infinity)) {
    const { sortKeys, position } = batch as EventBatch;
    found.push([sortKeys.map((key) => incrementOf(sortKeyTime(key))), position.stream?.token]);
  }
  return found;
}

describe("two passes over the same part of a stream", () => {
  test("the second one yields what there is up to where the server was when the first began", async () => {
    const settings = settingsFor({
      first: new StreamUpTo(4, [events([2, 3]), events([4])]),
      second: new StreamUpTo(9, [events([2, 3]), events([4]), events([5])]),
    });
    expect(await read(settings)).toEqual([
      [[], "1"],
      [[2, 3], "3"],
      [[4], "4"],
    ]);
    expect(settings.changes.seen).toEqual([2, 3, 4]);
  });

  test("no position is behind the first pass, although a reply of the second reaches further", async () => {
    const settings = settingsFor({
      first: new StreamUpTo(3, [events([2, 3])]),
      second: new StreamUpTo(9, [events([2, 3, 5, 6])]),
    });
    expect((await read(settings)).at(-1)?.[1]).toBe("3");
  });

  test("a first pass with too many documents ends early, and so does the second", async () => {
    const settings = settingsFor({
      first: new StreamUpTo(9, [events([2, 3]), events([4, 5]), events([6])]),
      second: new StreamUpTo(9, [events([2, 3]), events([4, 5]), events([6])]),
      mostDocuments: 3,
    });
    expect((await read(settings)).map(([moments]) => moments)).toEqual([[], [2, 3], [4, 5]]);
    expect([settings.changes.seen, settings.cuts]).toEqual([[2, 3, 4, 5], [1]]);
  });

  test("without a change there is only a position", async () => {
    const idle = (): EventStream => new StreamUpTo(2, [events([], 2)]);
    expect(await read(settingsFor({ first: idle(), second: idle() }))).toEqual([
      [[], "1"],
      [[], "2"],
    ]);
  });
});
