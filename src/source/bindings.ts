/** Bindings: the collections and databases to read, and the pipeline that selects their events. */

import { isDeepStrictEqual } from "node:util";

import { MongotapError } from "../errors.ts";
import type { Binding, Namespace } from "./record.ts";

/**
 * Parses `db.coll`, `db.*` or `db`, split at the first dot; all other characters are literal.
 * @throws MongotapError `usage` for names that no server can have
 */
export function parseBinding(text: string): Binding {
  const dot = text.indexOf(".");
  const db = dot < 0 ? text : text.slice(0, dot);
  const collection = dot < 0 ? "*" : text.slice(dot + 1);
  if (db === "" || collection === "") throw badNamespace(text, "write db.collection, db.* or db");
  if (/[/\\ "$\0]/.test(db)) throw badNamespace(text, 'a database name holds none of / \\ " $ and no space');
  if (collection.includes("\0")) throw badNamespace(text, "a collection name holds no NUL");
  if (["admin", "local", "config"].includes(db)) throw badNamespace(text, `the database ${db} belongs to the server`);
  if (collection.startsWith("system.")) throw badNamespace(text, "system collections belong to the server");
  return collection === "*" ? { db } : { db, collection };
}

function badNamespace(text: string, reason: string): MongotapError {
  return new MongotapError("usage", `${JSON.stringify(text)} is not a namespace: ${reason}`);
}

/** For messages: `db.collection` or `db.*`, with exceptions `db.*!["a","b"]`. */
export function bindingText({ db, collection, except }: Binding): string {
  return `${db}.${collection ?? "*"}${except === undefined ? "" : `!${JSON.stringify(except)}`}`;
}

export function includesBinding(bindings: readonly Binding[], binding: Binding): boolean {
  const { db, collection, except } = binding;
  return bindings.some(
    (other) => other.db === db && other.collection === collection && isDeepStrictEqual(other.except, except),
  );
}

/** `bindings` without what `excluded` names: collections of whole databases, or all of a database. */
export function withoutExcluded(bindings: readonly Binding[], excluded: readonly Binding[]): Binding[] {
  return bindings.flatMap((binding) => {
    const { db, collection } = binding;
    const same = excluded.filter((e) => e.db === db);
    if (same.some((e) => e.collection === undefined || e.collection === collection)) return [];
    if (collection !== undefined || same.length === 0) return [binding];
    return [{ db, except: [...new Set(same.map((e) => e.collection ?? ""))].toSorted() }];
  });
}

/** Whether `name` (`db.collection`) is bound by its own name, not by a whole database. */
export function isBoundByName(bindings: readonly Binding[], name: string): boolean {
  return bindings.some((b) => b.collection !== undefined && `${b.db}.${b.collection}` === name);
}

/**
 * The names under which the server builds a collection before it renames it: of `$out` and of mapReduce, and those of a
 * rename to another database and of convertToCapped (five characters of `makeUniqueCollectionName`). And `system.*`.
 * https://github.com/mongodb/mongo/blob/master/src/mongo/db/namespace_string.h
 */
const SERVER_NAME = /^(?:system\.|tmp\.agg_out\.|tmp\.mr\.|tmp[0-9A-Za-z]{5}\.(?:renameCollection$|convertToCapped\.))/;

/** Whether a collection belongs to the server: a binding of a whole database does not include it. */
export function isServerName(collection: string): boolean {
  return SERVER_NAME.test(collection);
}

export function isBound(bindings: readonly Binding[], { db, collection }: Namespace): boolean {
  return bindings.some(
    (b) =>
      b.db === db &&
      (b.collection === undefined
        ? !(b.except ?? []).includes(collection) && !isServerName(collection)
        : b.collection === collection),
  );
}

/** Keeps the memory of a `BoundNames` bounded. */
const MOST_NAMES = 10_000;

/** Whether `db.collection` is bound, looked up once for each name. */
export class BoundNames {
  readonly #bindings: readonly Binding[];
  readonly #known = new Map<string, boolean>();

  constructor(bindings: readonly Binding[]) {
    this.#bindings = bindings;
  }

  has(name: string): boolean {
    let found = this.#known.get(name);
    if (found === undefined) {
      if (this.#known.size >= MOST_NAMES) this.#known.clear();
      found = isBound(this.#bindings, nameToNamespace(name));
      this.#known.set(name, found);
    }
    return found;
  }
}

/** Splits `db.collection`; the collection is empty where only a database is named. */
export function nameToNamespace(name: string): Namespace {
  const dot = name.indexOf(".");
  return dot < 0 ? { db: name, collection: "" } : { db: name.slice(0, dot), collection: name.slice(dot + 1) };
}

/** What a change stream is opened on. */
export interface StreamTarget {
  readonly scope: "collection" | "database" | "cluster";
  /** The database that its commands are sent to: `admin` for the cluster. */
  readonly db: string;
  /** The collection, or 1. */
  readonly aggregate: string | 1;
}

/**
 * The narrowest target that covers all bindings, since the server scans all of it
 * (docs/decisions/009-one-change-stream-per-run.md).
 */
export function streamTarget(bindings: readonly Binding[]): StreamTarget {
  const [db, ...others] = new Set(bindings.map((b) => b.db));
  if (db === undefined || others.length > 0) return { scope: "cluster", db: "admin", aggregate: 1 };
  const [collection, ...more] = new Set(bindings.map((b) => b.collection));
  return collection === undefined || more.length > 0
    ? { scope: "database", db, aggregate: 1 }
    : { scope: "collection", db, aggregate: collection };
}

/**
 * Bindings of `filter` that let an event of `namespace` through a stream of the same scope. To resume behind an event the
 * server needs that one only (280, SERVER-71565), and a position that lists all bindings of a run may be large.
 */
export function narrowed(filter: readonly Binding[], namespace: Namespace): readonly Binding[] {
  if (filter.length <= 2) return filter;
  const own = filter.find((binding) => isBound([binding], namespace));
  if (own === undefined) return filter;
  const { scope } = streamTarget(filter);
  if (streamTarget([own]).scope === scope) return [own];
  const other = filter.find((binding) => streamTarget([own, binding]).scope === scope);
  return other === undefined ? filter : [own, other];
}

/**
 * The `$match` stage that keeps the events of the bindings, and always an invalidate: where a filter hides it, the cursor
 * closes without a reason (jstests/change_streams/collation.js says so of its own pipeline). It matches `ns.db` and
 * `ns.coll` separately, because `ns: {$in: […]}` makes the server scan slowly (SERVER-114532). No stage where the target
 * of the stream holds nothing but the bindings.
 */
export function matchStages(bindings: readonly Binding[]): Record<string, unknown>[] {
  const { scope, db: only } = streamTarget(bindings);
  const byDatabase = namesByDatabase(bindings);
  if (scope === "collection" || (scope === "database" && byDatabase.get(only) === undefined)) return [];
  const branches: Record<string, unknown>[] = [{ operationType: "invalidate" }];
  for (const [db, names] of byDatabase) {
    if (names === undefined) {
      branches.push({ "ns.db": db });
      continue;
    }
    branches.push({ "ns.db": db, "ns.coll": names });
    branches.push({ operationType: "rename", "to.db": db, "to.coll": names });
    branches.push({ operationType: "dropDatabase", "ns.db": db });
  }
  return [{ $match: { $or: branches } }];
}

/** For each database what `ns.coll` must be; undefined where every collection is bound. */
function namesByDatabase(bindings: readonly Binding[]): Map<string, Record<string, string[]> | undefined> {
  const byDatabase = new Map<string, Record<string, string[]> | undefined>();
  for (const db of new Set(bindings.map((b) => b.db))) {
    const own = bindings.filter((b) => b.db === db);
    const named = new Set(own.flatMap(({ collection }) => (collection === undefined ? [] : [collection])));
    const whole = own.filter(({ collection }) => collection === undefined);
    // Excluded: what every binding of the whole database excludes and no binding names.
    const [first, ...rest] = whole.map(({ except = [] }) => except);
    const excluded = (first ?? []).filter((name) => !named.has(name) && rest.every((except) => except.includes(name)));
    if (first === undefined) byDatabase.set(db, { $in: [...named].toSorted() });
    else byDatabase.set(db, excluded.length === 0 ? undefined : { $nin: excluded.toSorted() });
  }
  return byDatabase;
}
