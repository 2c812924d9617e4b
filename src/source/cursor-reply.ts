/** Runs commands that reply with a cursor, and parses the reply without decoding a document. */

import { Long, type MongoClient } from "mongodb";

import { BSON, ElementWalker, readInt32, readUint32 } from "../codec/bson.ts";
import { copiesClusterTimeSignature } from "../connect/driver-patches.ts";
import { type CommandOptions, type CommandReply, runCommand } from "../connect/run-command.ts";
import { MongotapError } from "../errors.ts";
import { operationTimeOf, readClusterTime } from "./cluster-time.ts";
import { type BsonDocuments, type ClusterTime, nameOf, type Namespace } from "./record.ts";
import { ReplyDocuments, ReplyMemory } from "./reply-memory.ts";

export interface CursorReply {
  readonly documents: BsonDocuments;
  /** 0 when the server has closed the cursor. */
  readonly id: bigint;
  /** The `collection` of the getMore command; `$cmd.aggregate` for a database. */
  readonly collection: string;
  /** The BSON of the token; undefined if the command is not a change stream or the server sends none. */
  readonly postBatchResumeToken: Uint8Array | undefined;
  /** The time at which the documents are true; only for read concern `snapshot`. */
  readonly atClusterTime: ClusterTime | undefined;
  /** The server's last operation at the time of the reply. */
  readonly operationTime: ClusterTime | undefined;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const FIRST_BATCH = encoder.encode("firstBatch");
const NEXT_BATCH = encoder.encode("nextBatch");
const ID = encoder.encode("id");
const NS = encoder.encode("ns");
const TOKEN = encoder.encode("postBatchResumeToken");
const AT_CLUSTER_TIME = encoder.encode("atClusterTime");

export interface ReadOptions extends Pick<CommandOptions, "session" | "rawFields"> {
  readonly signal: AbortSignal;
}

/** Closes a cursor of the collection, without waiting for it or for its success: the server closes idle cursors itself. */
export function killCursor(client: MongoClient, { db, collection }: Namespace, id: bigint): void {
  const killed = runCommand(client, db, { killCursors: collection, cursors: [Long.fromBigInt(id)] });
  killed.catch(() => undefined);
}

/**
 * Runs a `find` or `getMore` on a collection and parses its reply.
 * @throws MongotapError `connect`, `auth`, `data` and whatever else server-errors.ts makes of an error; the signal's
 *   reason once the signal has aborted
 */
export async function readCursor(
  client: MongoClient,
  namespace: Namespace,
  command: Readonly<Record<string, unknown>>,
  options: ReadOptions,
): Promise<CursorReply> {
  const what = `cannot read ${nameOf(namespace)}`;
  return parseCursorReply(await runCommand(client, namespace.db, command, { ...options, raw: true, what }));
}

/** Finds the cursor's id (0 when the server has closed it) and the reply's size in bytes; does not parse the documents. */
export function peekCursor(reply: CommandReply): { readonly id: bigint; readonly bytes: number } {
  const bytes = cursorOf(reply);
  const walker = new ElementWalker();
  walker.start(bytes, 0);
  while (walker.next()) {
    if (walker.type === BSON.int64 && walker.nameIs(ID))
      return { id: readInt64(bytes, walker.valueBegin), bytes: bytes.length };
  }
  return { id: 0n, bytes: bytes.length };
}

function cursorOf({ cursor }: CommandReply): Uint8Array {
  if (!(cursor instanceof Uint8Array)) throw new MongotapError("data", "the server's reply holds no cursor");
  return cursor;
}

/** @throws MongotapError `data` if the reply has no cursor or its lengths are inconsistent */
export function parseCursorReply(reply: CommandReply): CursorReply {
  const bytes = cursorOf(reply);
  const walker = new ElementWalker();
  let documents: BsonDocuments | undefined;
  let id = 0n;
  let collection = "";
  let postBatchResumeToken: Uint8Array | undefined;
  let atClusterTime: ClusterTime | undefined;
  walker.start(bytes, 0);
  while (walker.next()) {
    const { type, valueBegin: at, valueEnd: end } = walker;
    if (type === BSON.array && (walker.nameIs(FIRST_BATCH) || walker.nameIs(NEXT_BATCH)))
      documents = documentsOf(bytes, at, end);
    else if (type === BSON.int64 && walker.nameIs(ID)) id = readInt64(bytes, at);
    else if (type === BSON.string && walker.nameIs(NS))
      collection = collectionOf(decoder.decode(bytes.subarray(at + 4, end - 1)));
    else if (type === BSON.document && walker.nameIs(TOKEN)) postBatchResumeToken = bytes.subarray(at, end);
    else if (type === BSON.timestamp && walker.nameIs(AT_CLUSTER_TIME)) atClusterTime = readClusterTime(bytes, at);
  }
  if (!documents) throw new MongotapError("data", "the server's reply holds no batch");
  return { documents, id, collection, postBatchResumeToken, atClusterTime, operationTime: operationTimeOf(reply) };
}

/** Finds the documents of a BSON array. Refuses other elements. */
function documentsOf(bytes: Uint8Array, at: number, end: number): BsonDocuments {
  const offsets: number[] = [];
  let next = at + 4;
  // The names of an array's elements are "0", "1", … "10", …: their lengths are known.
  let digits = 1;
  let most = 10;
  while (next < end - 1) {
    if (bytes[next] !== BSON.document)
      throw new MongotapError("data", "a batch of the server holds something that is no document");
    if (offsets.length === most) {
      digits += 1;
      most *= 10;
    }
    next += digits + 2;
    if (bytes[next - 1] !== 0) throw new MongotapError("data", "a batch of the server is not numbered as arrays are");
    const length = readInt32(bytes, next);
    if (length < 5 || next + length > end - 1)
      throw new MongotapError("data", `a document in a batch of the server has the impossible length ${length}`);
    offsets.push(next);
    next += length;
  }
  return new ReplyDocuments(new ReplyMemory(bytes, copiesClusterTimeSignature()), offsets);
}

function collectionOf(ns: string): string {
  return ns.slice(ns.indexOf(".") + 1);
}

function readInt64(bytes: Uint8Array, at: number): bigint {
  return (BigInt(readInt32(bytes, at + 4)) << 32n) | BigInt(readUint32(bytes, at));
}
