/** Collections of every kind, with `_id`s of every type, as something to read ranges of. */
import type { Collection, Document, MongoClient } from "mongodb";
import { must } from "../../src/errors.ts";
import { findId } from "../../src/source/bson-key.ts";
import { type CollectionInfo, listCollections } from "../../src/source/catalog.ts";
import type { Chunk, RangeProgress } from "../../src/source/record.ts";
import type { SnapshotSettings } from "../../src/source/snapshot.ts";
import { everyIdType } from "../support/documents.ts";
import { sharedReplicaSet, testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { bsonOf } from "../support/reply.ts";

export const never = new AbortController().signal;
export const BEGIN: RangeProgress = { documents: 0, done: false };
const CHUNK_BYTES = 4 * 1024 * 1024;

const { version } = await sharedReplicaSet();
/** The options of a clustered collection; none where the server is older than 5.3. */
export const CLUSTERED: readonly Document[] = version.startsWith("5.")
  ? []
  : [{ clusteredIndex: { key: { _id: 1 }, unique: true } }];
export const KINDS: readonly (readonly [kind: string, options: Document])[] = [
  ["plain", {}],
  ["collated", { collation: { locale: "fr", strength: 1 } }],
  ["capped", { capped: true, size: 1 << 22 }],
  ...CLUSTERED.map((options) => ["clustered", options] as const),
];

export interface Prepared {
  readonly database: TestDatabase;
  readonly collection: Collection;
  readonly settings: SnapshotSettings;
}

export async function prepare(options: Document): Promise<Prepared> {
  const database = await testDatabase();
  const collection = await database.db.createCollection("c", options);
  const [info] = await listCollections(database.client, database.name);
  return { database, collection, settings: settingsOf(database.client, must(info, "the collection")) };
}

export function settingsOf(client: MongoClient, info: CollectionInfo): SnapshotSettings {
  return { client, info, standalone: false, chunkBytes: CHUNK_BYTES, notBefore: undefined };
}

/** Inserts `_id`s of every type and `strings` strings; the server drops those that the collation finds equal to others. */
export async function insertMixed(
  { database, collection }: Pick<Prepared, "database" | "collection">,
  strings = 150,
): Promise<void> {
  const ids = [...everyIdType.map(({ id }) => id), ...Array.from({ length: strings }, (_, i) => `key ${i * 7919}`)];
  const insert = {
    insert: collection.collectionName,
    documents: ids.map((_id) => ({ _id, text: "x".repeat(20) })),
    ordered: false,
    writeConcern: { w: "majority" },
  };
  await database.db.command(insert);
}

/** The BSON elements `_id` of a chunk, in hex. */
export function idsOf(chunk: Chunk): string[] {
  const { bytes, offsets } = bsonOf(chunk);
  return offsets.map((offset) => {
    const { begin, end } = must(findId(bytes, offset), "_id");
    return Buffer.from(bytes.subarray(begin, end)).toString("hex");
  });
}

/** The BSON elements `_id` of the collection in the order of the index, read by the driver's cursor. */
export async function expectedIds({ collection }: Prepared, projection: Document = {}): Promise<string[]> {
  const raw = await collection.find({}, { raw: true, sort: { _id: 1 }, hint: { _id: 1 }, projection }).toArray();
  return raw.map((document) => {
    const bytes = document as unknown as Uint8Array;
    const { begin, end } = must(findId(bytes, 0), "_id");
    return Buffer.from(bytes.subarray(begin, end)).toString("hex");
  });
}
