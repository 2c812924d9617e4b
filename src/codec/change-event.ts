/**
 * Finds the fields of a change event in its bytes; decodes the operation type, and the namespaces on demand.
 * https://www.mongodb.com/docs/manual/reference/change-events/
 */

import { MongotapError } from "../errors.ts";
import { BSON, type DocumentAt, ElementWalker, readInt32, readUint32 } from "./bson.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The place of a field in the bytes of an event: its BSON type and bounds; `type` is 0 if the event lacks it. */
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

interface NamedSlot {
  readonly name: Uint8Array;
  readonly slot: Slot;
}

const NAMES: ReadonlyMap<Field, Uint8Array> = new Map(FIELDS.map((field) => [field, encoder.encode(field)]));
const NO_SLOTS: readonly NamedSlot[] = [];
/** Operations on a collection, a database or the stream, not on a document; they may end the stream. */
export const TERMINAL_OPERATIONS: ReadonlySet<string> = new Set(["drop", "rename", "dropDatabase", "invalidate"]);
const KNOWN_OPERATIONS = ["insert", "update", "replace", "delete", ...TERMINAL_OPERATIONS].map(
  (name) => [encoder.encode(name), name] as const,
);
const DB_NAME = encoder.encode("db");
const COLL_NAME = encoder.encode("coll");

/** A view of one event; `read` moves it to the next one, without allocating. */
export class ChangeEvent {
  bytes: Uint8Array = new Uint8Array(0);
  /** The begin of the event in `bytes`. */
  begin = 0;
  /** `insert`, `update`, …, or any other string that a server sends. */
  operation = "";
  /** Where the document of the event is: in its own bytes, or where `complete` has put it. */
  documentBytes: Uint8Array = this.bytes;
  /** Negative if the event has no document. */
  documentBegin = -1;
  readonly slots: Readonly<Record<Field, Slot>>;
  readonly #named: readonly NamedSlot[];
  /** The slots by the length of their names. */
  readonly #byLength: readonly (readonly NamedSlot[])[];
  readonly #walker = new ElementWalker();
  readonly #namespaces = new NamespaceCache();
  #namespace: string | undefined;

  constructor() {
    this.slots = Object.fromEntries(FIELDS.map((field) => [field, new Slot()])) as Record<Field, Slot>;
    this.#named = Array.from(NAMES, ([field, name]) => ({ name, slot: this.slots[field] }));
    this.#byLength = Array.from({ length: 32 }, (_, length) =>
      this.#named.filter(({ name }) => name.length === length),
    );
  }

  /** Throws MongotapError("data") if the event at `at` is malformed, or lacks its operation type or resume token. */
  read(bytes: Uint8Array, at: number): void {
    this.bytes = bytes;
    this.begin = at;
    this.#namespace = undefined;
    const named = this.#named;
    for (let i = 0; i < named.length; i++) (named[i] as NamedSlot).slot.type = 0;
    const walker = this.#walker;
    walker.start(bytes, at);
    while (walker.next()) {
      const candidates = this.#byLength[walker.nameEnd - walker.nameBegin] ?? NO_SLOTS;
      for (let i = 0; i < candidates.length; i++) {
        const { name, slot } = candidates[i] as NamedSlot;
        if (!walker.nameIs(name)) continue;
        slot.set(walker);
        break;
      }
    }
    const { operationType, _id, fullDocument } = this.slots;
    this.documentBytes = bytes;
    this.documentBegin = fullDocument.isDocument ? fullDocument.begin : -1;
    if (operationType.type !== BSON.string || !_id.isDocument) {
      throw new MongotapError("data", "a change event lacks its operationType or its resume token");
    }
    this.operation = operationOf(bytes, operationType);
  }

  /** Gives the event a document that it does not have itself; until the next `read`. */
  complete({ bytes, begin }: DocumentAt): void {
    this.documentBytes = bytes;
    this.documentBegin = begin;
  }

  get hasDocument(): boolean {
    return this.documentBegin >= 0;
  }

  /** Whether its document is not in its own bytes. */
  get isCompleted(): boolean {
    return this.hasDocument && !this.slots.fullDocument.isDocument;
  }

  /** `db.collection` of the event; `db` for an event on a database, empty for an invalidate. */
  get namespace(): string {
    this.#namespace ??= this.slots.ns.isDocument ? this.#namespaces.nameOf(this.bytes, this.slots.ns) : "";
    return this.#namespace;
  }

  /** The new `db.collection` of a rename; empty for other events. */
  get renamedTo(): string {
    return this.slots.to.isDocument ? this.#namespaces.nameOf(this.bytes, this.slots.to) : "";
  }

  /** Milliseconds since 1970: `wallTime` (from MongoDB 6.0 on), else the seconds of the cluster time, else 0. */
  get wallTimeMs(): number {
    const { wallTime, clusterTime } = this.slots;
    if (wallTime.type === BSON.date)
      return readInt32(this.bytes, wallTime.begin + 4) * 2 ** 32 + readUint32(this.bytes, wallTime.begin);
    return clusterTime.type === BSON.timestamp ? readUint32(this.bytes, clusterTime.begin + 4) * 1000 : 0;
  }
}

function operationOf(bytes: Uint8Array, slot: Slot): string {
  const begin = slot.begin + 4;
  const length = slot.end - 1 - begin;
  for (const [name, operation] of KNOWN_OPERATIONS) {
    if (name.length === length && startsWith(bytes, begin, name)) return operation;
  }
  return decoder.decode(bytes.subarray(begin, begin + length));
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i += 1) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

const MAX_CACHED_NAMESPACES = 64;

interface NamespaceEntry {
  readonly bytes: Uint8Array;
  readonly name: string;
}

/** Names of the latest namespaces by their bytes, the last hit first: consecutive events tend to share a namespace. */
class NamespaceCache {
  readonly #entries: NamespaceEntry[] = [];

  nameOf(bytes: Uint8Array, slot: Slot): string {
    for (let i = 0; i < this.#entries.length; i++) {
      const entry = this.#entries[i] as NamespaceEntry;
      if (entry.bytes.length === slot.end - slot.begin && startsWith(bytes, slot.begin, entry.bytes)) {
        if (i > 0) this.#entries.unshift(...this.#entries.splice(i, 1));
        return entry.name;
      }
    }
    const entry = { bytes: bytes.slice(slot.begin, slot.end), name: decodeNamespace(bytes, slot.begin) };
    this.#entries.unshift(entry);
    if (this.#entries.length > MAX_CACHED_NAMESPACES) this.#entries.pop();
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
    if (walker.nameIs(DB_NAME)) db = text;
    else if (walker.nameIs(COLL_NAME)) collection = text;
  }
  return collection === undefined ? db : `${db}.${collection}`;
}
