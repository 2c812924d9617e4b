/** At which cluster times the versions of documents are read. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BSON } from "../../src/codec/bson.ts";
import { must } from "../../src/errors.ts";
import type { KeyHistory } from "../../src/source/key-history.ts";
import { planReads, type TimedRead, type Wanted } from "../../src/source/lookup-times.ts";
import { rawValue } from "../../src/source/raw-bson.ts";
import { int32 } from "../codec/raw-bson.ts";
import { time } from "./stream-replies.ts";

function wantedOf(collection: string, from: number, until?: number): Wanted {
  const id = rawValue(BSON.int32, int32(from));
  const history: KeyHistory = { collection, id, idText: `n${from}`, shardKey: [], steps: [] };
  const step = { time: time(from), events: [], lacking: [], after: "hidden" } as const;
  return {
    history,
    step: { ...step, events: [], lacking: [] },
    until: until === undefined ? undefined : time(until),
    found: "absent",
  };
}

function timesOf(reads: readonly TimedRead[], collection: string): string[] {
  return reads.filter((read) => read.collection === collection).map(({ at }) => at);
}

/** The fewest of `times` of which each interval holds one, by trying all sets. */
function fewest(intervals: readonly (readonly [number, number])[], times: readonly number[]): number {
  let best = times.length;
  for (let set = 0; set < 1 << times.length; set += 1) {
    const chosen = times.filter((_, i) => (set >> i) & 1);
    const hitsAll = intervals.every(([from, until]) => chosen.some((at) => at >= from && at < until));
    if (hitsAll) best = Math.min(best, chosen.length);
  }
  return best;
}

const TIMES = [1, 2, 3, 4, 5, 6, 7, 8];
const interval = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.option(fc.integer({ min: 1, max: 8 })))
  .map(([from, length]) => ({ from, until: length === null ? undefined : Math.min(from + length, 9) }))
  .filter(({ until }) => until === undefined || until <= 8);

describe("planReads()", () => {
  test("reads each version once, when it was the current one, and at the fewest times for each collection", () => {
    const property = fc.property(
      fc.array(fc.tuple(fc.constantFrom("shop.a", "shop.b"), interval), { maxLength: 12 }),
      (all) => {
        const wanted = all.map(([collection, { from, until }]) => wantedOf(collection, from, until));
        const reads = planReads(wanted, TIMES.map(time));
        expect(reads.flatMap((read) => read.wanted).toSorted(byFrom)).toEqual(wanted.toSorted(byFrom));
        for (const { at, collection, wanted: own } of reads) {
          for (const { history, step, until } of own) {
            expect(history.collection).toBe(collection);
            expect(at >= step.time && (until === undefined || at < until)).toBe(true);
          }
        }
        for (const name of ["shop.a", "shop.b"]) {
          const own = all.filter(([collection]) => collection === name).map(([, { from, until }]) => ({ from, until }));
          const closed = own.flatMap(({ from, until }) => (until === undefined ? [] : [[from, until] as const]));
          const open = own.some(({ until }) => until === undefined) ? [[8, 9] as const] : [];
          const at = timesOf(reads, name);
          expect(new Set(at).size).toBe(at.length);
          expect(at.length).toBe(fewest([...closed, ...open], TIMES));
        }
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  test("reads what outlives the batch at its last time", () => {
    const [read, ...more] = planReads([wantedOf("shop.a", 2), wantedOf("shop.a", 5)], TIMES.map(time));
    expect(more).toEqual([]);
    expect(must(read, "a read").at).toBe(time(8));
  });

  test("reads at no time without a batch, and nothing where nothing is wanted", () => {
    expect(planReads([wantedOf("shop.a", 1)], [])).toEqual([]);
    expect(planReads([], TIMES.map(time))).toEqual([]);
  });
});

function byFrom(a: Wanted, b: Wanted): number {
  const key = ({ history, step, until = time(99) }: Wanted): string => history.collection + step.time + until;
  return key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;
}
