/** Finds the keys at which a range of `_id` can be split, by a walk over its index that reads no document but those of the keys. */

import type { MongoClient } from "mongodb";

import { runCommand } from "../connect/run-command.ts";
import { keyOf } from "./bson-key.ts";
import { readCursor } from "./cursor-reply.ts";
import { ID_OF_DOCUMENT } from "./index-bytes.ts";
import { type ClusterTime, nameOf, type Namespace, type RangeProgress } from "./record.ts";
import { boundsOf } from "./snapshot.ts";

export interface SplitPoint {
  /** The key after the first `count` keys; undefined if the range has no more than `count`. */
  readonly key: string | undefined;
  /** The server's last operation at the time of the reply; undefined for standalone servers. */
  readonly operationTime: ClusterTime | undefined;
}

/**
 * Finds the key that follows the first `count` keys of `range`, counted from the last key that was read (inclusive), if any.
 * The time it takes is proportional to `count`: about a second for five million keys.
 * @throws MongotapError `connect`, `auth`
 */
export async function findSplitPoint(
  client: MongoClient,
  namespace: Namespace,
  range: RangeProgress,
  count: number,
  signal: AbortSignal,
): Promise<SplitPoint> {
  const { command, rawFields } = boundsOf(range);
  const find = {
    find: namespace.collection,
    ...command,
    projection: ID_OF_DOCUMENT,
    skip: count,
    limit: 1,
    singleBatch: true,
    comment: "mongotap",
  };
  const reply = await readCursor(client, namespace, find, { signal, rawFields });
  const { bytes, offsets } = reply.documents;
  const [at] = offsets;
  return { key: at === undefined ? undefined : keyOf(bytes, at), operationTime: reply.operationTime };
}

/**
 * Splits a collection of `count` documents into ranges of equal size (± 1 document). Resolves to the keys between them:
 * `partitions` - 1 keys, or fewer if there are fewer documents. The same documents and `count` give the same keys.
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
    const documentsBefore = (index: number): number => Math.floor((index * count) / partitions);
    const step = Math.max(1, documentsBefore(keys.length + 1) - documentsBefore(keys.length));
    const { key } = await findSplitPoint(client, namespace, range, step, signal);
    if (key === undefined) break;
    keys.push(key);
    range = { from: key, documents: 0, done: false };
  }
  return keys;
}

/** The number of documents by the server's metadata, which may be wrong after an unclean shutdown. */
export async function documentsIn(client: MongoClient, namespace: Namespace): Promise<number> {
  const { db, collection } = namespace;
  const reply = await runCommand(client, db, { count: collection }, { what: `cannot count ${nameOf(namespace)}` });
  return Number(reply["n"]);
}
