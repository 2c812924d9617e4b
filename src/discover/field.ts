/** Counts of the values at one path of the sampled documents. structure.ts bounds their memory. */

/**
 * BSON types under the names of MongoDB's `$type`; `uuid` is binData of subtype 4.
 * https://www.mongodb.com/docs/manual/reference/operator/query/type/#available-types
 */
export const BSON_TYPES = [
  "double",
  "string",
  "object",
  "array",
  "binData",
  "uuid",
  "undefined",
  "objectId",
  "bool",
  "date",
  "null",
  "regex",
  "dbPointer",
  "javascript",
  "symbol",
  "javascriptWithScope",
  "int",
  "timestamp",
  "long",
  "decimal",
  "minKey",
  "maxKey",
] as const;

export type BsonType = (typeof BSON_TYPES)[number];

/** Properties of values that decide their JSON besides the type: bits of `Field.traits`. */
export const TRAIT = {
  /** A finite double. */
  finite: 1,
  /** NaN or an infinity. */
  notFinite: 2,
  /** A date from 1970 to 9999. */
  isoDate: 4,
  /** A date outside 1970 to 9999. */
  farDate: 8,
  /** A date outside the years 1 to 9999, which RFC 3339 cannot express. */
  oddYear: 16,
} as const;

/** A number of values, and the number of sampled documents that hold them. */
export class Tally {
  values = 0;
  documents = 0;
  /** Number of the document that was counted last. */
  #lastDocument = 0;

  /** Counts one value. `document` numbers the documents from 1 on. */
  count(document: number): void {
    this.values += 1;
    if (this.#lastDocument === document) return;
    this.#lastDocument = document;
    this.documents += 1;
  }

  /** Adds the values of another path. The documents that hold either are unknown: `documents` is a lower bound. */
  add(other: Tally): void {
    this.values += other.values;
    this.documents = Math.max(this.documents, other.documents);
  }
}

/** The values of a field, the elements of an array, or the values of all dynamic keys of an object. */
export class Field {
  /** Empty for elements and dynamic keys. */
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly seen = new Tally();
  readonly types = new Map<BsonType, Tally>();
  traits = 0;
  /** Objects that have it. A document may hold a name twice and counts once. */
  presentIn = 0;
  /** The fields of its nested documents. */
  object: ObjectFields | undefined;
  /** The elements of its arrays. */
  items: Field | undefined;
  /** Values as text; empty unless requested. */
  readonly examples: string[] = [];
  /** Values at this path are nested too deep; their fields are not counted. */
  isTruncated = false;
  /** Number of the object that was counted last. */
  #lastObject = 0;

  constructor(name: string, nameBytes: Uint8Array) {
    this.name = name;
    this.nameBytes = nameBytes;
  }

  /** Counts an object that has this field. `object` numbers the objects from 1 on. */
  countPresence(object: number): void {
    if (this.#lastObject === object) return;
    this.#lastObject = object;
    this.presentIn += 1;
  }

  tallyOf(type: BsonType): Tally {
    let tally = this.types.get(type);
    if (tally === undefined) {
      tally = new Tally();
      this.types.set(type, tally);
    }
    return tally;
  }
}

/** The fields of all documents (objects) at one path. */
export class ObjectFields {
  /** Documents at this path. */
  objects = 0;
  readonly fields = new Map<string, Field>();
  /** In order of appearance: a document with the same sequence of names needs no decoding. */
  list: Field[] = [];
  /** The values of dynamic keys (dynamic-keys.ts). */
  dynamic: Field | undefined;
  readonly dynamicKeys = new KeyCounter();
  /** Nearly all keys are dynamic: new keys count as dynamic without a check. */
  isMap = false;
  /** The limits were exceeded: some fields are counted as dynamic keys. */
  isTruncated = false;
  /** `objects` at the last collapse (dynamic-keys.ts). */
  objectsAtCollapse = 0;

  add(field: Field): void {
    this.fields.set(field.name, field);
    this.list.push(field);
  }
}

/** Counts distinct keys, by a hash of each, up to a limit. */
export class KeyCounter {
  static readonly max = 1024;
  readonly #hashes = new Set<number>();

  /** `KeyCounter.max` means that number or more. */
  get count(): number {
    return this.#hashes.size;
  }

  /** Adds the key `bytes[begin..end)` by its FNV-1a hash: http://www.isthe.com/chongo/tech/comp/fnv/ */
  add(bytes: Uint8Array, begin = 0, end = bytes.length): void {
    let hash = 0x811c9dc5;
    for (let i = begin; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
    this.#addHash(hash);
  }

  addAll(other: KeyCounter): void {
    for (const hash of other.#hashes) this.#addHash(hash);
  }

  #addHash(hash: number): void {
    if (this.#hashes.size < KeyCounter.max) this.#hashes.add(hash);
  }
}

const NO_BYTES = new Uint8Array(0);

/** A Field for elements of arrays or values of dynamic keys. */
export function namelessField(): Field {
  return new Field("", NO_BYTES);
}

const MAX_EXAMPLES = 3;

export function wantsExamples({ examples }: Field): boolean {
  return examples.length < MAX_EXAMPLES;
}

/** Adds `example` unless the field has it already or has enough. */
export function addExample(field: Field, example: string): void {
  if (wantsExamples(field) && !field.examples.includes(example)) field.examples.push(example);
}
