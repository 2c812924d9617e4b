/** What the tests of `mongotap flow` share: a database, and comparisons of it with the collections of Flow. */
import type { Collection, Document, MongoClient } from "mongodb";
import type { TestDatabase } from "../support/replica-set.ts";
import type { Bound, FlowCapture, FlowSession, Json } from "./flow-runtime.ts";

export async function filled({ db }: TestDatabase, name: string, count: number): Promise<Collection<Document>> {
  const collection = db.collection<Document>(name);
  await collection.insertMany(Array.from({ length: count }, (_, i) => ({ _id: i as never, v: 0 })));
  return collection;
}

/** What a collection of Flow must hold: the documents that a find returns, without what the runtime and we add. */
async function contentOf(client: MongoClient, { database: db, collection }: Bound): Promise<string[]> {
  const documents = await client.db(db).collection(collection).find().toArray();
  return documents.map((document) => JSON.stringify({ ...document, _id: String(document._id) })).toSorted();
}

function rowsOf(capture: FlowCapture, of: Bound): string[] {
  return [...capture.of(of).values()].map((row) => JSON.stringify({ ...row, _meta: undefined })).toSorted();
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((text, i) => text === right[i]);
}

/** Waits until the collections of Flow hold what a find returns now. Nothing may write meanwhile. */
export async function untilSame(
  { client }: Pick<TestDatabase, "client">,
  capture: FlowCapture,
  session: FlowSession,
  all: readonly Bound[],
): Promise<void> {
  for (const each of all) {
    const expected = await contentOf(client, each);
    await session.until(() => isSame(rowsOf(capture, each), expected), `the documents of ${each.collection}`);
  }
}

export function lastLog(stderr: string): Json {
  return JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "{}") as Json;
}
