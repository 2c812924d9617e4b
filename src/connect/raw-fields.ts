/**
 * Fields of a command that are BSON already and are sent as they are. The driver has no way for that: its serializer would
 * need them as JavaScript values, and not every BSON value survives that. driver-patches.ts teaches it.
 */

import { MongotapError } from "../errors.ts";

/** The field of a command that holds its RawFields. */
export const RAW_FIELDS = "rawFields";

/** Bytes in place of a value. A driver without the patch fails when it serializes them: a command is never sent without. */
export class RawFields {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The driver's serializer calls this for any value that has it. */
  toBSON(): never {
    throw new MongotapError("bug", "the driver does not send raw fields: its patch did not take hold");
  }
}

/** `document`, which is BSON, with `elements` (type, name, NUL, value; concatenated) behind its own. */
export function appendElements(document: Uint8Array, elements: Uint8Array): Uint8Array {
  const length = document.length + elements.length;
  const all = Buffer.allocUnsafe(length);
  all.set(document, 0);
  all.set(elements, document.length - 1);
  all[length - 1] = 0;
  all.writeInt32LE(length, 0);
  return all;
}
