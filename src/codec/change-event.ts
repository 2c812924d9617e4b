/**
 * Where the parts of a change event stand in its bytes; nothing is decoded but the operation type.
 * Event format: https://www.mongodb.com/docs/manual/reference/change-events/
 */

import { MongotapError } from "../errors.ts";
import { BSON, ElementWalker, readUint32 } from "./bson.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A BSON value inside `bytes`; `type` is 0 where the event has no such field. */
export class Slot {
  type = 0;
  begin = 0;
  end = 0;

  set(walker: ElementWalker): void {
    this.type = walker.type;
    this.begin = walker.valueBegin;
    this.end = walker.valueEnd;
  }

  get isDocument(): boolean {
    return this.type === BSON.document;
  }
}

const FIELDS = [
  "_id",
  "operationType",
  "clusterTime",
  "wallTime",
  "ns",
  "to",
  "documentKey",
  "fullDocument",
  "fullDocumentBeforeChange",
  "updateDescription",
] as const;

type Field = (typeof FIELDS)[number];

const NAMES: readonly (readonly [Uint8Array, Field])[] = FIELDS.map((field) => [encoder.encode(field), field]);
/** What happens to collections and databases, and so to the stream, not to a document. */
export const TERMINAL_OPERATIONS: ReadonlySet<string> = new Set(["drop", "rename", "dropDatabase", "invalidate"]);
const OPERATIONS = ["insert", "update", "replace", "delete", ...TERMINAL_OPERATIONS].map(
  (name) => [encoder.encode(name), name] as const,
);
const DB = encoder.encode("db");
const COLL = encoder.encode("coll");

/** One event at a time: `read` moves the view to another event, so nothing is allocated for each. */
export class ChangeEvent {
  bytes: Uint8Array = new Uint8Array(0);
  /** Where the event begins in `bytes`. */
  begin = 0;
  /** `insert`, `update`, …; any string a future server may send. */
  operation = "";
  readonly slots: Readonly<Record<Field, Slot>>;
  readonly #walker = new ElementWalker();
  readonly #namespaces = new NamespaceCache();

  constructor() {
    this.slots = Object.fromEntries(FIELDS.map((field) => [field, new Slot()])) as Record<Field, Slot>;
  }

  /** @throws MongotapError `data` when the event is malformed or lacks what every event has. */
  read(bytes: Uint8Array, at: number): void {
    this.bytes = bytes;
    this.begin = at;
    for (const field of FIELDS) this.slots[field].type = 0;
    const walker = this.#walker;
    walker.start(bytes, at);
    while (walker.next()) {
      for (const [name, field] of NAMES) {
        if (walker.nameIs(name)) {
          this.slots[field].set(walker);
          break;
        }
      }
    }
    const { operationType, _id } = this.slots;
    if (operationType.type !== BSON.string || !_id.isDocument) {
      throw new MongotapError("data", "a change event lacks its operationType or its resume token");
    }
    this.operation = operationOf(bytes, operationType);
  }

  /** `db.collection` of the event, `db` alone for events about a database, empty for an invalidate. */
  get namespace(): string {
    return this.slots.ns.isDocument ? this.#namespaces.nameOf(this.bytes, this.slots.ns) : "";
  }

  /** `db.collection` that a rename leads to. */
  get renamedTo(): string {
    return this.slots.to.isDocument ? this.#namespaces.nameOf(this.bytes, this.slots.to) : "";
  }

  /** Milliseconds since 1970: the server's clock where it says so (6.0), else the seconds of the cluster time. */
  get wallTimeMs(): number {
    const { wallTime, clusterTime } = this.slots;
    if (wallTime.type === BSON.date) {
      const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + wallTime.begin, 8);
      return Number(view.getBigInt64(0, true));
    }
    return clusterTime.type === BSON.timestamp ? readUint32(this.bytes, clusterTime.begin + 4) * 1000 : 0;
  }
}

function operationOf(bytes: Uint8Array, slot: Slot): string {
  const begin = slot.begin + 4;
  const length = slot.end - 1 - begin;
  for (const [name, operation] of OPERATIONS) {
    if (name.length === length && startsWith(bytes, begin, name)) return operation;
  }
  return decoder.decode(bytes.subarray(begin, begin + length));
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i += 1) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

/** Events come in runs of the same few namespaces: remembers the bytes of each with its name, the last hit first. */
class NamespaceCache {
  readonly #known: { bytes: Uint8Array; name: string }[] = [];

  nameOf(bytes: Uint8Array, slot: Slot): string {
    for (const [i, entry] of this.#known.entries()) {
      if (entry.bytes.length === slot.end - slot.begin && startsWith(bytes, slot.begin, entry.bytes)) {
        if (i > 0) this.#known.unshift(...this.#known.splice(i, 1));
        return entry.name;
      }
    }
    const entry = { bytes: bytes.slice(slot.begin, slot.end), name: decodeNamespace(bytes, slot.begin) };
    this.#known.unshift(entry);
    if (this.#known.length > 64) this.#known.pop();
    return entry.name;
  }
}

function decodeNamespace(bytes: Uint8Array, at: number): string {
  const walker = new ElementWalker();
  let db = "";
  let collection: string | undefined;
  walker.start(bytes, at);
  while (walker.next()) {
    if (walker.type !== BSON.string) continue;
    const text = decoder.decode(bytes.subarray(walker.valueBegin + 4, walker.valueEnd - 1));
    if (walker.nameIs(DB)) db = text;
    else if (walker.nameIs(COLL)) collection = text;
  }
  return collection === undefined ? db : `${db}.${collection}`;
}
