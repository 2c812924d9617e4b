/**
 * What happened, by the oplog: each change of a document, each end of a collection, and which version a document had at any
 * cluster time. It has no I/O; follower.ts reads the oplog.
 */

import { Binary, type Timestamp } from "mongodb";

import { clusterTimeOf } from "../../src/source/cluster-time.ts";
import { textOf } from "./content.ts";

/** The fields of an entry of the oplog that are used here. */
export interface OplogEntry {
  readonly op: string;
  readonly ns: string;
  readonly ts: Timestamp;
  readonly ui?: unknown;
  readonly o: Readonly<Record<string, unknown>>;
  readonly o2?: Readonly<Record<string, unknown>>;
}

export interface Change {
  /** A cluster time: 16 hex digits. */
  readonly time: string;
  /** `db.collection` */
  readonly name: string;
  readonly key: string;
  readonly op: "c" | "u" | "d";
  /** The version that it left behind; undefined after a delete. */
  readonly v: number | undefined;
  /** The version before it. */
  readonly before: number | undefined;
  readonly collection: TrueCollection;
}

/** One collection from its creation to its drop, whatever its names. */
export interface TrueCollection {
  /** The versions of each key, in the order of their times; v is undefined while there is no document. */
  readonly versions: Map<string, { readonly time: string; readonly v: number | undefined }[]>;
  /** When it lost or got a name. */
  readonly disturbed: { readonly time: string; readonly how: string }[];
}

export interface TrueEnd {
  readonly time: string;
  readonly name: string;
  readonly reason: "dropped" | "renamed" | "replaced";
  readonly to: string | undefined;
}

export class Truth {
  readonly changes: Change[] = [];
  readonly ends: TrueEnd[] = [];
  readonly #collections = new Map<string, TrueCollection>();
  /** Which collection has had a name since when. */
  readonly #names = new Map<string, { readonly time: string; readonly collection: TrueCollection | undefined }[]>();

  /** Adds the next entry: each once, in the order of the oplog. */
  add(entry: OplogEntry): void {
    this.#add(entry, clusterTimeOf(entry.ts));
  }

  #add(entry: Omit<OplogEntry, "ts">, time: string): void {
    const { op, ns, o, ui } = entry;
    if (Array.isArray(o["applyOps"])) {
      for (const inner of o["applyOps"] as OplogEntry[]) this.#add(inner, time);
    } else if (op === "i") this.#change(entry, time, String(o["_id"]), Number(o["v"]));
    else if (op === "u") this.#change(entry, time, String(entry.o2?.["_id"]), versionIn(o));
    else if (op === "d") this.#change(entry, time, String(o["_id"]), undefined);
    else if (op === "c") this.#command(ns.slice(0, ns.indexOf(".")), o, uuidText(ui), time);
  }

  #change({ op, ns: name, ui }: Omit<OplogEntry, "ts">, time: string, key: string, v: number | undefined): void {
    const collection = this.#collection(uuidText(ui));
    const versions = collection.versions.get(key) ?? [];
    collection.versions.set(key, versions);
    const before = versions.at(-1)?.v;
    versions.push({ time, v });
    this.changes.push({ time, name, key, op: op === "i" ? "c" : op === "u" ? "u" : "d", v, before, collection });
  }

  #command(db: string, o: Readonly<Record<string, unknown>>, uuid: string, time: string): void {
    const { create, drop, renameCollection: from, to } = o;
    if (typeof create === "string") this.#bind(`${db}.${create}`, this.#collection(uuid), time);
    if (typeof drop === "string") {
      this.#collection(uuid).disturbed.push({ time, how: "drop" });
      this.#bind(`${db}.${drop}`, undefined, time);
      this.ends.push({ time, name: `${db}.${drop}`, reason: "dropped", to: undefined });
    }
    if (typeof from === "string" && typeof to === "string") {
      this.#collection(uuid).disturbed.push({ time, how: "rename" });
      this.collectionAt(to, time)?.disturbed.push({ time, how: "replacement" });
      this.#bind(from, undefined, time);
      this.#bind(to, this.#collection(uuid), time);
      this.ends.push({ time, name: from, reason: "renamed", to });
      this.ends.push({ time, name: to, reason: "replaced", to: undefined });
    }
  }

  #collection(uuid: string): TrueCollection {
    let collection = this.#collections.get(uuid);
    if (collection === undefined) {
      collection = { versions: new Map(), disturbed: [] };
      this.#collections.set(uuid, collection);
    }
    return collection;
  }

  #bind(name: string, collection: TrueCollection | undefined, time: string): void {
    const known = this.#names.get(name) ?? [];
    known.push({ time, collection });
    this.#names.set(name, known);
  }

  /** Which collection has the name `name` behind everything of `time`. */
  collectionAt(name: string, time: string): TrueCollection | undefined {
    return this.#names.get(name)?.findLast((known) => known.time <= time)?.collection;
  }

  /** The documents of every collection that exists in the end, by name and key: their versions. */
  final(): Map<string, Map<string, number>> {
    const names = new Map<string, Map<string, number>>();
    for (const [name, known] of this.#names) {
      const collection = known.at(-1)?.collection;
      if (collection === undefined) continue;
      const documents = new Map<string, number>();
      for (const [key, versions] of collection.versions) {
        const v = versions.at(-1)?.v;
        if (v !== undefined) documents.set(key, v);
      }
      names.set(name, documents);
    }
    return names;
  }
}

/** The version of a document behind everything of `time`; undefined where there is none. */
export function versionAt(collection: TrueCollection | undefined, key: string, time: string): number | undefined {
  return collection?.versions.get(key)?.findLast((version) => version.time <= time)?.v;
}

/** Of an update: a replacement, or a difference that has the number of the write among the changed fields. */
function versionIn(o: Readonly<Record<string, unknown>>): number {
  const diff = o["diff"] as
    | { readonly u?: { readonly v?: unknown }; readonly i?: { readonly v?: unknown } }
    | undefined;
  const v = Number(diff === undefined ? o["v"] : (diff.u?.v ?? diff.i?.v));
  if (!Number.isInteger(v)) throw new Error(`an update without a number: ${JSON.stringify(o)}`);
  return v;
}

function uuidText(value: unknown): string {
  return value instanceof Binary ? value.toString("hex") : String(value);
}

/** Why the truth cannot be right: acknowledged writes that it does not have, or another end than that of the database. */
export function proofOf(
  truth: Truth,
  acknowledged: ReadonlySet<number>,
  database: ReadonlyMap<string, ReadonlyMap<string, string>>,
): string[] {
  const known = new Set(truth.changes.map(({ v }) => v));
  const objections = [...acknowledged].filter((v) => !known.has(v)).map((v) => `write ${v} was acknowledged`);
  const final = truth.final();
  for (const name of new Set([...final.keys(), ...database.keys()])) {
    const [ours, theirs] = [final.get(name), database.get(name)];
    for (const key of new Set([...(ours?.keys() ?? []), ...(theirs?.keys() ?? [])])) {
      const v = ours?.get(key);
      if (v === undefined || textOf(key, v) !== theirs?.get(key))
        objections.push(`${name} ${key} is v ${v ?? "none"}, ${theirs?.get(key) ?? "absent"} in the database`);
    }
  }
  return objections;
}
