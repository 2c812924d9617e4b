import { describe, expect, test } from "bun:test";
import { leftOut, loadMatching, rebind } from "../../src/run/checkpoint-store.ts";
import { parseBinding } from "../../src/source/bindings.ts";
import type { Position } from "../../src/source/record.ts";
import { type Checkpoint, type Fingerprint, saveCheckpoint } from "../../src/state/checkpoint.ts";
import { FINGERPRINT } from "../support/states.ts";
import { rejectionOf } from "../support/rejection.ts";
import { tempDir, type TempDir } from "../support/temp.ts";

async function stateOf(fingerprint: Fingerprint): Promise<TempDir & { readonly state: string }> {
  const dir = await tempDir();
  const state = dir.join("state");
  const mark = {
    path: "/data/out",
    key: { kind: "everything" },
    bytes: 1,
    lines: 1,
    tailCrc: 1,
    inode: 1,
    finalized: false,
  } as const;
  const source = { setName: "rs" };
  await saveCheckpoint(state, {
    formatVersion: 2,
    seq: 1,
    source,
    fingerprint,
    position: { collections: {} },
    outputs: [mark],
  });
  return { ...dir, state };
}

const BACKFILL: Fingerprint = { ...FINGERPRINT, command: "backfill" };

test.each([
  [{ ...BACKFILL, format: "canonical", out: "/b" }, "format: relaxed → canonical; out: /data/out → /b"],
  [{ ...BACKFILL, split: true }, "split: (not set) → yes"],
  [{ ...BACKFILL, shard: { index: 1, of: 4 } }, "shard: (not set) → 1/4"],
  [{ ...BACKFILL, arrays: "objects" }, "arrays: as they are → objects"],
  [
    { ...BACKFILL, namespaces: [{ db: "shop", except: ["a", "b"] }, { db: "x" }] },
    'namespaces: ["shop.orders"] → ["shop.*![\\"a\\",\\"b\\"]","x.*"]',
  ],
])("the state of a backfill that was another command line is refused with what differs: %#", async (now, said) => {
  await using dir = await stateOf(BACKFILL);
  const expected = { fingerprint: now, fresh: false, acceptChange: false };
  const error = await rejectionOf(loadMatching(dir.state, expected));
  expect(error.message).toBe(`${dir.state} was made by another command line: ${said}`);
});

test("a capture may read more or less than before, and loses the marks of an output that it no longer writes", async () => {
  await using dir = await stateOf(FINGERPRINT);
  const load = async (now: Fingerprint, acceptChange: boolean): Promise<number | undefined> =>
    (await loadMatching(dir.state, { fingerprint: now, fresh: false, acceptChange }))?.outputs.length;
  expect(await load({ ...FINGERPRINT, namespaces: [{ db: "shop" }] }, false)).toBe(1);
  expect(await load({ ...FINGERPRINT, out: "/b" }, true)).toBe(0);
  for (const now of [
    { ...FINGERPRINT, command: "tail" },
    { ...FINGERPRINT, split: true },
  ]) {
    expect(await rejectionOf(load(now, true))).toMatchObject({ kind: "state" });
  }
});

describe("rebind()", () => {
  const live = { phase: "live", copied: { documents: 1, ranges: 1 } } as const;
  const stateWith = (collections: Position["collections"], fingerprint: Partial<Fingerprint> = {}): Checkpoint => ({
    formatVersion: 2,
    seq: 1,
    source: { setName: "rs" },
    fingerprint: { ...FINGERPRINT, ...fingerprint },
    position: { collections },
    outputs: [],
  });
  const [a, b] = [parseBinding("shop.a"), parseBinding("shop.b")];

  test("keeps a collection that is no longer bound, and makes it stale when it is bound again", () => {
    const both = stateWith({ "shop.a": live, "shop.b": live }, { namespaces: [a, b] });
    const without = rebind(both, [b]);
    expect(without.saved.position.collections).toEqual({ "shop.a": { phase: "unbound" }, "shop.b": live });
    expect(leftOut(without, [b])).toEqual(["shop.a"]);
    const next = { ...without.saved, fingerprint: { ...FINGERPRINT, namespaces: [b] } };
    expect(leftOut(rebind(next, [b]), [b])).toEqual([]);
    expect(rebind(next, [a, b]).saved.position.collections).toEqual({
      "shop.a": { phase: "stale", voided: false },
      "shop.b": live,
    });
  });

  test("names a database that is no longer read once, and what is excluded by its own name", () => {
    const whole = parseBinding("shop");
    const state = stateWith({ "shop.a": live, "shop.b": live }, { namespaces: [whole] });
    const other = [parseBinding("other")];
    expect(leftOut(rebind(state, other), other)).toEqual(["shop.*"]);
    const excluding = [{ db: "shop", except: ["b"] }];
    expect(leftOut(rebind(state, excluding), excluding)).toEqual(["shop.b"]);
    // A tail has no collections in its state.
    expect(leftOut(rebind(stateWith({}, { command: "tail", namespaces: [a, b] }), [b]), [b])).toEqual(["shop.a"]);
  });

  test("lets a backfill forget it", () => {
    const state = stateWith({ "shop.a": live }, { command: "backfill", namespaces: [a] });
    expect(rebind(state, [b]).saved.position.collections).toEqual({});
  });
});
