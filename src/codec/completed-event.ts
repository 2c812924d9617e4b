/** A change event with its looked-up document, where the server puts one. */

import { BSON, type DocumentAt, readInt32 } from "./bson.ts";
import type { ChangeEvent } from "./change-event.ts";

const NAME = Buffer.from("\x03fullDocument\0", "latin1");
const NS_HEAD_LENGTH = "\x03ns\0".length;

/**
 * The event with its document as `fullDocument`, in new memory. The field is behind the times of the event and before its
 * namespace, as in events that have one from the server (seen on 5.0 and 6.0).
 */
export function completedEvent({ bytes, begin, slots, documentBytes, documentBegin }: ChangeEvent): DocumentAt {
  const { fullDocument, ns } = slots;
  const end = begin + readInt32(bytes, begin);
  const documentEnd = documentBegin + readInt32(documentBytes, documentBegin);
  const isNull = fullDocument.type === BSON.null;
  const place = isNull ? fullDocument.begin - NAME.length : ns.type === 0 ? end - 1 : ns.begin - NS_HEAD_LENGTH;
  const all = Buffer.concat([
    bytes.subarray(begin, place),
    NAME,
    documentBytes.subarray(documentBegin, documentEnd),
    bytes.subarray(isNull ? fullDocument.end : place, end),
  ]);
  all.writeInt32LE(all.length, 0);
  return { bytes: all, begin: 0 };
}
