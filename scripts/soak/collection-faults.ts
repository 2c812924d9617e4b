/** What ends collections, or changes what the server keeps of them: drop, renames, $out, dropDatabase, images. */

import type { Db } from "mongodb";

import type { Random } from "../lib/random.ts";
import { contentOf, type Numbered } from "./content.ts";

export interface CollectionFaults {
  readonly db: Db;
  /** The collections that writers write to. */
  readonly collections: readonly string[];
  readonly random: Random;
  /** The next number of a write. */
  readonly next: () => number;
}

const WAYS = {
  drop: async ({ db }, name) => {
    await db.collection(name).drop();
  },
  "rename away": async ({ db }, name) => {
    await db.collection(name).rename(`${name}_old`, { dropTarget: true });
  },
  "rename over": async (faults, name) => {
    await fill(faults, `${name}_new`);
    await faults.db.collection(`${name}_new`).rename(name, { dropTarget: true });
  },
  swap: async (faults, name) => {
    await fill(faults, `${name}_new`);
    await faults.db.collection(name).rename(`${name}_old`, { dropTarget: true });
    await faults.db.collection(`${name}_new`).rename(name);
  },
  $out: async ({ db, collections, random }, name) => {
    const from = random.pick([...collections, `${name}_old`]);
    await db
      .collection(from)
      .aggregate([{ $match: { v: { $mod: [3, random.whole(3)] } } }, { $out: name }])
      .toArray();
  },
  dropDatabase: async ({ db }) => {
    await db.dropDatabase();
  },
  "images on": ({ db }, name) => setImages(db, name, true),
  "images off": ({ db }, name) => setImages(db, name, false),
} as const satisfies Record<string, (faults: CollectionFaults, name: string) => Promise<void>>;

/** Injects one of them. What fails because of another fault has happened or not: the oplog knows. */
export async function injectCollectionFault(faults: CollectionFaults, counts: Record<string, number>): Promise<void> {
  const { random, collections } = faults;
  const all = Object.keys(WAYS) as (keyof typeof WAYS)[];
  const way = random.pick(all);
  if (way === "dropDatabase" && random.next() < 0.5) return;
  await WAYS[way](faults, random.pick(collections)).then(
    () => {
      counts[way] = (counts[way] ?? 0) + 1;
    },
    () => undefined,
  );
}

async function fill({ db, random, next }: CollectionFaults, name: string): Promise<void> {
  const count = 1 + random.whole(200);
  const documents = Array.from({ length: count }, (_, i) => contentOf(i === 0 ? "hot" : `k${i}`, next()));
  await db.collection<Numbered>(name).insertMany(documents, { ordered: false });
}

async function setImages(db: Db, name: string, isOn: boolean): Promise<void> {
  await db.command({ collMod: name, changeStreamPreAndPostImages: { enabled: isOn } });
}
