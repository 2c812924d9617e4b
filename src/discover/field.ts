/** What is known of the values at one path, gathered from sampled documents. Bounded by the limits of fold.ts. */

/** The types of BSON by the names of MongoDB's `$type`; `uuid` is binData of subtype 4. */
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

/** What the type alone does not say, and the JSON of a value depends on. Bits of `Field.traits`. */
export const TRAIT = {
  /** A double that is a number. */
  finite: 1,
  /** NaN or an infinity. */
  notFinite: 2,
  /** A date from 1970 to 9999. */
  isoDate: 4,
  /** A date before or after that. */
  farDate: 8,
  /** A date outside the years 1 to 9999: no RFC 3339. */
  oddYear: 16,
} as const;

/** How often something was seen: how many values, and in how many of the sampled documents. */
export class Tally {
  values = 0;
  documents = 0;
  /** The number of the document that was counted last. */
  #last = 0;

  /** Counts one value in the document of this number (from 1 on). */
  count(document: number): void {
    this.values += 1;
    if (this.#last === document) return;
    this.#last = document;
    this.documents += 1;
  }

  /** Adds values of another path. In how many documents they were together is not known: at least as many as in one. */
  add(other: Tally): void {
    this.values += other.values;
    this.documents = Math.max(this.documents, other.documents);
  }
}

/** A field, the elements of an array, or the values of all dynamic keys of an object. */
export class Field {
  /** Empty for what is no field of its own. */
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly seen = new Tally();
  readonly types = new Map<BsonType, Tally>();
  traits = 0;
  /** How many objects have it, whatever the number of times: a document may hold a name twice. */
  presentIn = 0;
  /** Of nested documents. */
  object: ObjectFields | undefined;
  /** Of the elements of arrays. */
  items: Field | undefined;
  /** Some of the values, as text; empty unless asked for. */
  readonly examples: string[] = [];
  /** Values at this path lie too deep to be looked into. */
  isCut = false;
  /** The number of the object that was counted last. */
  #lastObject = 0;

  constructor(name: string, nameBytes: Uint8Array) {
    this.name = name;
    this.nameBytes = nameBytes;
  }

  /** Counts the object of this number (from 1 on) as one that has this field. */
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

/** The fields of all documents at one path. */
export class ObjectFields {
  /** How many documents were seen here. */
  objects = 0;
  readonly fields = new Map<string, Field>();
  /** In the order of the map: where a document goes on as the last one did, no name has to be decoded. */
  order: Field[] = [];
  /** The values of keys that are no fields: ids, dates and the like (dynamic-keys.ts). */
  others: Field | undefined;
  readonly otherKeys = new KeyCounter();
  /** Nearly all keys are dynamic: those that come are not looked at one by one any more. */
  isMap = false;
  /** Some fields could not be kept apart, because there are more than the limits allow. */
  isCut = false;
  /** How many objects there were when dynamic keys were looked for. */
  objectsAtSearch = 0;

  add(field: Field): void {
    this.fields.set(field.name, field);
    this.order.push(field);
  }
}

/** Counts different keys, up to a limit, by a hash of each. */
export class KeyCounter {
  static readonly most = 1024;
  readonly #hashes = new Set<number>();

  /** `most` means: so many, or more. */
  get count(): number {
    return this.#hashes.size;
  }

  /** FNV-1a of the bytes. */
  add(bytes: Uint8Array, begin = 0, end = bytes.length): void {
    let hash = 0x811c9dc5;
    for (let i = begin; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
    this.#addHash(hash);
  }

  addAll(other: KeyCounter): void {
    for (const hash of other.#hashes) this.#addHash(hash);
  }

  #addHash(hash: number): void {
    if (this.#hashes.size < KeyCounter.most) this.#hashes.add(hash);
  }
}

const NO_BYTES = new Uint8Array(0);

/** A place for values that have no name of their own. */
export function namelessField(): Field {
  return new Field("", NO_BYTES);
}

const MOST_EXAMPLES = 3;

export function wantsExamples({ examples }: Field): boolean {
  return examples.length < MOST_EXAMPLES;
}

/** Keeps the first few that differ. */
export function addExample(field: Field, example: string): void {
  if (wantsExamples(field) && !field.examples.includes(example)) field.examples.push(example);
}
