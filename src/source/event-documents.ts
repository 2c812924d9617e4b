/** Puts documents into change events, where the server puts them. */

import { BSON, readInt32 } from "../codec/bson.ts";
import type { ChangeEvent } from "../codec/change-event.ts";
import type { DocumentAt } from "../codec/update-description.ts";
import type { BsonDocuments } from "./record.ts";
import { ReplyDocuments, ReplyMemory } from "./reply-memory.ts";

const NAME = Buffer.from("\x03fullDocument\0", "latin1");
const NS_HEAD_LENGTH = "\x03ns\0".length;

/**
 * The events with `found[i]` as the `fullDocument` of the event number i, in new memory: `events` is released. The field is
 * behind the times of the event and before its namespace, as in events that have one from the server (seen on 5.0 and 6.0).
 */
export function withDocuments(
  event: ChangeEvent,
  events: BsonDocuments,
  found: readonly (DocumentAt | undefined)[],
): BsonDocuments {
  const { offsets } = events;
  const from = bufferOf(events.bytes);
  let size = 0;
  for (const [i, offset] of offsets.entries()) {
    const document = found[i];
    size += readInt32(from, offset) + (document === undefined ? 0 : NAME.length + lengthOf(document));
  }
  const to = Buffer.allocUnsafeSlow(size);
  const placed: number[] = [];
  let at = 0;
  for (const [i, offset] of offsets.entries()) {
    const document = found[i];
    placed.push(at);
    if (document === undefined) at += from.copy(to, at, offset, offset + readInt32(from, offset));
    else at = putEvent(event, { from, offset }, document, to, at);
  }
  events.release();
  return new ReplyDocuments(new ReplyMemory(to.subarray(0, at), true), placed);
}

/** Returns the end of what was written. */
function putEvent(
  event: ChangeEvent,
  { from, offset }: { readonly from: Buffer; readonly offset: number },
  document: DocumentAt,
  to: Buffer,
  begin: number,
): number {
  event.read(from, offset);
  const { fullDocument, ns } = event.slots;
  const end = offset + readInt32(from, offset);
  const isNull = fullDocument.type === BSON.null;
  const place = isNull ? fullDocument.begin - NAME.length : ns.type === 0 ? end - 1 : ns.begin - NS_HEAD_LENGTH;
  let at = begin + from.copy(to, begin, offset, place);
  at += NAME.copy(to, at);
  at += bufferOf(document.bytes).copy(to, at, document.begin, document.begin + lengthOf(document));
  at += from.copy(to, at, isNull ? fullDocument.end : place, end);
  to.writeInt32LE(at - begin, begin);
  return at;
}

function lengthOf({ bytes, begin }: DocumentAt): number {
  return readInt32(bytes, begin);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
