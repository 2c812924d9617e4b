/**
 * Folds documents into what is known of their fields, straight from the bytes of BSON: no document becomes an object.
 * Whatever the documents hold, memory is bounded: by the number of fields kept apart in one object and in all, the length
 * of a name, and the depth.
 */

import { BSON, ElementWalker, readInt32, readUint32 } from "../codec/bson.ts";
import { isIsoDate } from "../codec/date.ts";
import { readDouble } from "../codec/numbers.ts";
import { MongotapError, must } from "../errors.ts";
import { collapse, collapseAll, isWorthCollapsing } from "./dynamic-keys.ts";
import { ExampleWriter } from "./examples.ts";
import { addExample, type BsonType, Field, namelessField, ObjectFields, TRAIT, wantsExamples } from "./field.ts";

/** Nobody reads a table of more columns; what has more keys is a map. */
const MOST_FIELDS_OF_OBJECT = 1024;
const MOST_FIELDS = 5_000;
/** A longer name is no name. */
const MOST_NAME_BYTES = 256;
const MOST_DEPTH = 32;
/** Between two attempts to make room by putting dynamic keys together. */
const DOCUMENTS_BETWEEN_ATTEMPTS = 16;

const UUID_SUBTYPE = 4;

/** The begin of the year 1, in milliseconds since 1970. */
const YEAR_1 = -62_135_596_800_000;

export type Examples = "none" | "masked" | "shown";

/** What the sampled documents of a collection have in common. */
export interface Structure {
  /** Documents that were looked at. */
  readonly documents: number;
  readonly root: ObjectFields;
  /** Documents that are no valid BSON: looked at up to the first corrupt byte. */
  readonly corrupt: number;
}

const TYPES: readonly (BsonType | undefined)[] = typesByCode();

/** One collection at a time: `add` its documents, then `finish` once. */
export class Folder {
  readonly #root = new ObjectFields();
  readonly #walkers: readonly ElementWalker[] = Array.from({ length: MOST_DEPTH }, () => new ElementWalker());
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #examples: ExampleWriter | undefined;
  #documents = 0;
  #corrupt = 0;
  #fields = 0;
  #lastAttempt = 0;

  constructor(examples: Examples = "none") {
    this.#examples = examples === "none" ? undefined : new ExampleWriter(examples === "masked");
  }

  /** Looks at the document that begins at `at`. */
  add(bytes: Uint8Array, at = 0): void {
    this.#documents += 1;
    try {
      this.#foldObject(this.#root, bytes, at, bytes.length, 0);
    } catch (error) {
      if (!(error instanceof MongotapError) || error.kind !== "data") throw error;
      this.#corrupt += 1;
    }
  }

  /** What was found; nothing may be added any more. */
  finish(): Structure {
    collapseAll(this.#root);
    return { documents: this.#documents, root: this.#root, corrupt: this.#corrupt };
  }

  #foldObject(object: ObjectFields, bytes: Uint8Array, at: number, end: number, depth: number): void {
    const walker = this.#walkers[depth] as ElementWalker;
    const instance = (object.objects += 1);
    let expected = 0;
    walker.start(bytes, at, end);
    while (walker.next()) {
      let field = object.order[expected];
      if (field === undefined || !walker.nameIs(field.nameBytes)) {
        field = this.#fieldOf(object, bytes, walker);
        expected = object.order.indexOf(field);
      }
      expected += 1;
      field.countPresence(instance);
      this.#foldValue(field, bytes, walker, depth);
    }
  }

  #foldValue(field: Field, bytes: Uint8Array, { type, valueBegin, valueEnd }: ElementWalker, depth: number): void {
    const name = typeOf(bytes, type, valueBegin);
    field.seen.count(this.#documents);
    field.tallyOf(name).count(this.#documents);
    if (type === BSON.document || type === BSON.array) {
      if (depth + 1 === MOST_DEPTH) field.isCut = true;
      else if (type === BSON.array) this.#foldElements(field, bytes, valueBegin, valueEnd, depth + 1);
      else this.#foldObject((field.object ??= new ObjectFields()), bytes, valueBegin, valueEnd, depth + 1);
      return;
    }
    field.traits |= traitsOf(bytes, type, valueBegin);
    if (this.#examples === undefined || !wantsExamples(field)) return;
    const example = this.#examples.textOf(bytes, type, valueBegin, valueEnd);
    if (example !== undefined) addExample(field, example);
  }

  #foldElements(array: Field, bytes: Uint8Array, at: number, end: number, depth: number): void {
    const items = (array.items ??= namelessField());
    const walker = this.#walkers[depth] as ElementWalker;
    walker.start(bytes, at, end);
    while (walker.next()) this.#foldValue(items, bytes, walker, depth);
  }

  /** The field of the walker's name; that of the dynamic keys where it is one of them, or where there is no room. */
  #fieldOf(object: ObjectFields, bytes: Uint8Array, { nameBegin, nameEnd }: ElementWalker): Field {
    const isName = nameEnd - nameBegin <= MOST_NAME_BYTES;
    const name = isName ? this.#decoder.decode(bytes.subarray(nameBegin, nameEnd)) : "";
    const known = isName ? object.fields.get(name) : undefined;
    if (known !== undefined) return known;
    if (isName && !object.isMap && this.#hasRoom(object)) {
      const field = new Field(name, bytes.slice(nameBegin, nameEnd));
      object.add(field);
      this.#fields += 1;
      return field;
    }
    object.isCut ||= !object.isMap;
    object.otherKeys.add(bytes, nameBegin, nameEnd);
    return (object.others ??= namelessField());
  }

  /** Whether another field of this object may be kept apart; makes room first where it can. */
  #hasRoom(object: ObjectFields): boolean {
    if (object.order.length >= MOST_FIELDS_OF_OBJECT && isWorthCollapsing(object)) {
      collapse(object);
      this.#fields = fieldsIn(this.#root);
    }
    if (this.#fields >= MOST_FIELDS && this.#documents - this.#lastAttempt >= DOCUMENTS_BETWEEN_ATTEMPTS) {
      this.#lastAttempt = this.#documents;
      collapseAll(this.#root);
      this.#fields = fieldsIn(this.#root);
    }
    return object.order.length < MOST_FIELDS_OF_OBJECT && this.#fields < MOST_FIELDS;
  }
}

function fieldsIn({ order, others }: ObjectFields): number {
  return order.reduce((sum, field) => sum + 1 + fieldsBelow(field), others === undefined ? 0 : fieldsBelow(others));
}

function fieldsBelow({ object, items }: Field): number {
  return (object === undefined ? 0 : fieldsIn(object)) + (items === undefined ? 0 : fieldsBelow(items));
}

function typeOf(bytes: Uint8Array, type: number, at: number): BsonType {
  if (type === BSON.binary) return bytes[at + 4] === UUID_SUBTYPE ? "uuid" : "binData";
  return must(TYPES[type], `a name for the BSON type ${type}`);
}

function traitsOf(bytes: Uint8Array, type: number, at: number): number {
  if (type === BSON.double) return Number.isFinite(readDouble(bytes, at)) ? TRAIT.finite : TRAIT.notFinite;
  if (type !== BSON.date) return 0;
  if (isIsoDate(bytes, at)) return TRAIT.isoDate;
  const ms = readInt32(bytes, at + 4) * 2 ** 32 + readUint32(bytes, at);
  return ms >= YEAR_1 && ms < 0 ? TRAIT.farDate : TRAIT.farDate | TRAIT.oddYear;
}

/** By the byte of the type. */
function typesByCode(): readonly (BsonType | undefined)[] {
  const renamed = {
    document: "object",
    binary: "binData",
    boolean: "bool",
    code: "javascript",
    codeWithScope: "javascriptWithScope",
    int32: "int",
    int64: "long",
    decimal128: "decimal",
  } as const;
  const types: BsonType[] = [];
  for (const [name, code] of Object.entries(BSON)) {
    types[code] =
      name in renamed
        ? renamed[name as keyof typeof renamed]
        : (name as Exclude<keyof typeof BSON, keyof typeof renamed>);
  }
  return types;
}
