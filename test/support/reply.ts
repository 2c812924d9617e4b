/** Documents as a source hands them on, for tests. */

import { type Document, BSON } from "mongodb";
import type { BsonDocuments, Documents } from "../../src/source/record.ts";
import { ReplyDocuments, ReplyMemory } from "../../src/source/reply-memory.ts";

/** The BSON documents of a batch or chunk. Throws where a worker has encoded them. */
export function bsonOf({ documents }: { readonly documents: Documents }): BsonDocuments {
  if (documents.kind !== "bson") throw new Error("these documents are encoded already");
  return documents;
}

/** These documents one after the other in memory of their own. */
export function replyOf(documents: readonly Document[]): BsonDocuments {
  const each = documents.map((document) => BSON.serialize(document));
  const offsets = each.map((_, i) => each.slice(0, i).reduce((sum, { length }) => sum + length, 0));
  return new ReplyDocuments(new ReplyMemory(Uint8Array.from(Buffer.concat(each)), true), offsets);
}
