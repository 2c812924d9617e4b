/** Collections that end: how they are made to, and what the output must be afterwards. */
import type { Db } from "mongodb";
import { expect } from "bun:test";
import type { Line } from "../../cli/tap.ts";
import { differencesOf } from "./fold.ts";
import { orderFaultsOf } from "./oracle.ts";
import type { Trial } from "./trial.ts";

export interface Numbered {
  readonly _id: number;
  readonly v: number;
}

/** What the server calls the collections that it builds. */
export const TEMPORARY = /\btmp(\.agg_out|\w{5})\./;

export async function insert(db: Db, collection: string, ids: readonly number[], v = 1): Promise<void> {
  await db.collection<Numbered>(collection).insertMany(ids.map((_id) => ({ _id, v })));
}

export async function out(db: Db, from: string, to: string): Promise<void> {
  await db
    .collection(from)
    .aggregate([{ $out: to }])
    .toArray();
}

export async function swap(db: Db, fresh: string, name: string): Promise<void> {
  await db.collection(name).rename(`${name}_old`, { dropTarget: true });
  await db.collection(fresh).rename(name);
}

/** The lines that say that a collection ended: its name and the reason. */
export function endsOf(lines: readonly Line[]): string[] {
  return lines.flatMap(({ _meta }) => (_meta?.op === "t" ? [`${_meta.source.collection} ${_meta.reason}`] : []));
}

/** In alphabetical order. */
export function sorted(texts: readonly (string | undefined)[]): string[] {
  return texts.map((text) => text ?? "").toSorted((a, b) => (a < b ? -1 : 1));
}

/** Nothing is lost, repeated, reordered, or void and still there. */
export async function expectTrue(
  trial: Pick<Trial, "lines">,
  dbs: readonly Db[],
  except: readonly string[] = [],
): Promise<Line[]> {
  const lines = await trial.lines();
  expect(orderFaultsOf(lines)).toEqual([]);
  expect(await differencesOf(lines, dbs, except)).toEqual([]);
  return lines;
}
