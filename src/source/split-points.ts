/** Finds the places at which a range of `_id` can be cut, by walking over its index and reading no document. */

import type { MongoClient } from "mongodb";

import { runCommand } from "../connect/run-command.ts";
import { keyOf } from "./bson-key.ts";
import { readCursor } from "./cursor-reply.ts";
import { type ClusterTime, nameOf, type Namespace, type RangeProgress } from "./record.ts";
import { boundsOf } from "./snapshot.ts";

export interface SplitPoint {
  /** The key that stands behind so many others; undefined where the range has no more than that. */
  readonly key: string | undefined;
  /** The server's last operation as of this answer; standalone servers tell none. */
  readonly operationTime: ClusterTime | undefined;
}

/**
 * Finds the key that stands `count` keys behind the beginning of `range` (behind the last key that was read of it).
 * Takes time in proportion to `count`: about a second for five million keys.
 * @throws MongotapError `connect`, `auth`
 */
export async function findSplitPoint(
  client: MongoClient,
  namespace: Namespace,
  range: RangeProgress,
  count: number,
  signal: AbortSignal,
): Promise<SplitPoint> {
  const find = {
    find: namespace.collection,
    ...boundsOf(range),
    projection: { _id: 1 },
    skip: count,
    limit: 1,
    singleBatch: true,
    comment: "mongotap",
  };
  const reply = await readCursor(client, namespace, find, { signal });
  const { bytes, offsets } = reply.documents;
  const [at] = offsets;
  return { key: at === undefined ? undefined : keyOf(bytes, at), operationTime: reply.operationTime };
}

/**
 * Cuts a collection of `count` documents into ranges of as many documents each (give or take one), and resolves to the
 * keys between them: `parts` - 1 of them, or fewer where there are not so many documents. The same documents and `count`
 * give the same keys.
 * @throws MongotapError `connect`, `auth`
 */
export async function splitEvenly(
  client: MongoClient,
  namespace: Namespace,
  { partitions, count }: { readonly partitions: number; readonly count: number },
  signal: AbortSignal,
): Promise<string[]> {
  const keys: string[] = [];
  let range: RangeProgress = { documents: 0, done: false };
  while (keys.length < partitions - 1) {
    const [before, behind] = [keys.length, keys.length + 1].map((cut) => Math.floor((cut * count) / partitions));
    const step = Math.max(1, (behind ?? 0) - (before ?? 0));
    const { key } = await findSplitPoint(client, namespace, range, step, signal);
    if (key === undefined) break;
    keys.push(key);
    range = { from: key, documents: 0, done: false };
  }
  return keys;
}

/** How many documents the server believes that there are: from metadata, without looking. */
export async function documentsIn(client: MongoClient, namespace: Namespace): Promise<number> {
  const { db, collection } = namespace;
  const reply = await runCommand(client, db, { count: collection }, { what: `cannot count ${nameOf(namespace)}` });
  return Number(reply["n"]);
}
