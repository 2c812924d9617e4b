/**
 * A command whose reply is referred to by nobody but us, so that its memory can be given back when it has been used.
 * The driver keeps the cluster time of the last reply of each connection, whose signature is a view into all of that
 * reply: it is replaced by a copy. Only a session that has seen no other reply has that very object.
 */

import type { Document, MongoClient } from "mongodb";

import { type CursorReply, parseCursorReply } from "./cursor-reply.ts";

/** Sends `command` in a session of its own. Rejects as the driver does. */
export async function askAlone(
  client: MongoClient,
  db: string,
  command: Document,
  signal: AbortSignal,
): Promise<CursorReply> {
  await using session = client.startSession({ causalConsistency: false });
  const reply = parseCursorReply(await client.db(db).command(command, { session, raw: true, signal }));
  const hash = session.clusterTime?.signature?.hash;
  if (hash !== undefined) hash.buffer = Uint8Array.from(hash.buffer);
  return { ...reply, documents: { ...reply.documents, isOwn: true } };
}
