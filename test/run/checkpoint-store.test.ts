import { expect, test } from "bun:test";
import { loadMatching } from "../../src/run/checkpoint-store.ts";
import { type Fingerprint, saveCheckpoint } from "../../src/state/checkpoint.ts";
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
