/** Lists databases and collections with their options, counts and sizes, and resolves bindings to collections. */

import { BSON as DriverBson, type MongoClient } from "mongodb";

import { JsonWriter } from "../codec/json-writer.ts";
import { createTranscoder } from "../codec/transcode.ts";
import { runCommand } from "../connect/run-command.ts";
import { toMongotapError } from "../connect/server-errors.ts";
import { MongotapError } from "../errors.ts";
import { didYouMean } from "../lib/did-you-mean.ts";
import { bindingText, isBound } from "./bindings.ts";
import { type Binding, type Namespace, nameOf } from "./record.ts";

export interface CollectionInfo {
  readonly namespace: Namespace;
  readonly type: "collection" | "view" | "timeseries";
  /** In hex; null for views, and for servers that do not report it. */
  readonly uuid: string | null;
  readonly capped: boolean;
  readonly clustered: boolean;
  /** The collection has `changeStreamPreAndPostImages` enabled (MongoDB 6.0). */
  readonly images: boolean;
  /** The creation options as the server lists them: the validator, the pipeline of a view, … */
  readonly options: Readonly<Record<string, unknown>>;
}

const SERVER_DATABASES = new Set(["admin", "local", "config"]);

/** The sorted names of the databases that the user may see, without `admin`, `local` and `config`. */
export async function listDatabases(client: MongoClient): Promise<string[]> {
  const command = { listDatabases: 1, nameOnly: true, authorizedDatabases: true };
  const reply = await runCommand(client, "admin", command, { what: "cannot list the databases" });
  const names = (reply["databases"] as { name: string }[]).map(({ name }) => name);
  return names.filter((name) => !SERVER_DATABASES.has(name)).toSorted();
}

/**
 * Listed on the primary, whatever the read preference of the connection is: a secondary may lag behind the change stream, and
 * would not list what the stream has reported.
 */
const LISTING = { authorizedCollections: true, readPreference: "primary" } as const;

/** The collections of a database, sorted by name, without `system.*`. */
export async function listCollections(client: MongoClient, db: string): Promise<CollectionInfo[]> {
  try {
    const found = await client
      .db(db)
      .listCollections({}, { ...LISTING, promoteValues: true })
      .toArray();
    return found
      .filter((c) => !c.name.startsWith("system."))
      .map((c) => infoOf(db, c as ListedCollection))
      .toSorted((a, b) => (a.namespace.collection < b.namespace.collection ? -1 : 1));
  } catch (error) {
    throw toMongotapError(error, `cannot list the collections of ${db}`);
  }
}

interface ListedCollection {
  readonly name: string;
  readonly type?: string;
  readonly options?: {
    capped?: boolean;
    clusteredIndex?: unknown;
    changeStreamPreAndPostImages?: { enabled?: boolean };
  };
  readonly info?: { uuid?: { toString(encoding: "hex"): string } };
}

function infoOf(db: string, listed: ListedCollection): CollectionInfo {
  const { options = {}, info = {} } = listed;
  return {
    namespace: { db, collection: listed.name },
    type: listed.type === "view" || listed.type === "timeseries" ? listed.type : "collection",
    uuid: info.uuid?.toString("hex") ?? null,
    capped: options.capped === true,
    clustered: options.clusteredIndex !== undefined && options.clusteredIndex !== false,
    images: options.changeStreamPreAndPostImages?.enabled === true,
    options: { ...options },
  };
}

/**
 * Resolves bindings to collections, each once, in the order of the bindings. A binding of a whole database does not include
 * its views, since they would repeat the documents of its collections.
 * @throws MongotapError `usage`, with the nearest name, for a binding that matches nothing unless `mayBeMissing`
 */
export async function resolveBindings(
  client: MongoClient,
  bindings: readonly Binding[],
  mayBeMissing: (binding: Binding) => boolean,
): Promise<CollectionInfo[]> {
  const found = new Map<string, CollectionInfo>();
  const listed = new Map<string, CollectionInfo[]>();
  for (const binding of bindings) {
    const all = listed.get(binding.db) ?? (await listCollections(client, binding.db));
    listed.set(binding.db, all);
    const bound = all.filter((info) => isBound([binding], info.namespace));
    const matching = bound.filter((info) => binding.collection !== undefined || info.type !== "view");
    if (matching.length === 0 && !mayBeMissing(binding)) throw await unknown(client, binding, all);
    for (const info of matching) found.set(nameOf(info.namespace), info);
  }
  return [...found.values()];
}

async function unknown(client: MongoClient, binding: Binding, all: readonly CollectionInfo[]): Promise<MongotapError> {
  if (all.length === 0) {
    const near = didYouMean(binding.db, await listDatabases(client));
    return new MongotapError("usage", `the database ${binding.db} does not exist or has no collections`, {
      hint:
        near === undefined
          ? "`mongotap discover` lists what is there; --allow-missing waits for it."
          : `Did you mean ${near}?`,
    });
  }
  const near = didYouMean(
    binding.collection ?? "",
    all.map((c) => c.namespace.collection),
  );
  return new MongotapError("usage", `the collection ${bindingText(binding)} does not exist`, {
    hint:
      near === undefined
        ? "`mongotap discover` lists what is there; --allow-missing waits for it."
        : `Did you mean ${binding.db}.${near}?`,
  });
}

/** Null if the server has no count. `bytes` is the size of the documents before compression. */
export interface Measured {
  readonly documents: number | null;
  readonly bytes: number | null;
}

/** Reads count and size from the metadata: fast, but only approximate after an unclean shutdown. */
export async function measure(client: MongoClient, { namespace, type }: CollectionInfo): Promise<Measured> {
  if (type === "view") return { documents: null, bytes: null };
  try {
    const { count, size } = await runCommand(client, namespace.db, { collStats: namespace.collection });
    return { documents: typeof count === "number" ? count : null, bytes: typeof size === "number" ? size : null };
  } catch {
    return { documents: null, bytes: null }; // the user may list the collection but not run collStats
  }
}

/** The current UUID of a collection; null if it does not exist. */
export async function collectionUuid(client: MongoClient, { db, collection }: Namespace): Promise<string | null> {
  try {
    const [found] = await client.db(db).listCollections({ name: collection }, LISTING).toArray();
    return found ? infoOf(db, found).uuid : null;
  } catch (error) {
    throw toMongotapError(error, `cannot look up ${db}.${collection}`);
  }
}

/** The collection's options as relaxed Extended JSON v2, parsed: validators and pipelines can contain any BSON type. */
export function optionsJson({ options }: CollectionInfo): Readonly<Record<string, unknown>> {
  const writer = new JsonWriter(1024);
  createTranscoder({ format: "relaxed" }).writeDocument(writer, DriverBson.serialize(options), 0);
  return JSON.parse(new TextDecoder().decode(writer.view())) as Record<string, unknown>;
}
