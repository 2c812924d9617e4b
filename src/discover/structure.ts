/**
 * Infers the structure of a collection from its documents: which fields they have, and of which types. Works on the bytes
 * of BSON, without objects. Memory is bounded whatever the documents hold: by limits on fields, name length and depth.
 */

import { BSON, ElementWalker, readInt32, readUint32 } from "../codec/bson.ts";
import { isIsoDate } from "../codec/date.ts";
import { readDouble } from "../codec/numbers.ts";
import { MongotapError, must } from "../errors.ts";
import { collapse, collapseAll, isWorthCollapsing } from "./dynamic-keys.ts";
import { ExampleWriter } from "./examples.ts";
import { addExample, type BsonType, Field, namelessField, ObjectFields, TRAIT, wantsExamples } from "./field.ts";

/** An object with more keys is a map. */
const MAX_FIELDS_PER_OBJECT = 1024;
/** In one collection. */
const MAX_FIELDS = 5_000;
/** A longer name is a dynamic key. */
const MAX_NAME_BYTES = 256;
const MAX_DEPTH = 32;
/** Between two attempts to make room by collapsing dynamic keys. */
const DOCUMENTS_BETWEEN_COLLAPSES = 16;

const UUID_SUBTYPE = 4;

/** 0001-01-01, in milliseconds since 1970. */
const YEAR_1_MS = -62_135_596_800_000;

export type Examples = "none" | "masked" | "shown";

/** The fields of the sampled documents of a collection. */
export interface Structure {
  /** Documents, corrupt ones included. */
  readonly documents: number;
  readonly root: ObjectFields;
  /** Documents with corrupt BSON: counted up to the first corrupt byte. */
  readonly corrupt: number;
}

const TYPE_NAMES: readonly (BsonType | undefined)[] = typeNamesByByte();

/** Builds the structure of one collection: `add` its documents, then `finish` once. */
export class StructureBuilder {
  readonly #root = new ObjectFields();
  readonly #walkers: readonly ElementWalker[] = Array.from({ length: MAX_DEPTH }, () => new ElementWalker());
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #examples: ExampleWriter | undefined;
  #documents = 0;
  #corrupt = 0;
  #fields = 0;
  #documentsAtCollapse = 0;

  constructor(examples: Examples = "none") {
    this.#examples = examples === "none" ? undefined : new ExampleWriter(examples === "masked");
  }

  /** Counts the document at `at`. Never throws on corrupt BSON, but counts it in `corrupt`. */
  add(bytes: Uint8Array, at = 0): void {
    this.#documents += 1;
    try {
      this.#countObject(this.#root, bytes, at, bytes.length, 0);
    } catch (error) {
      if (!(error instanceof MongotapError) || error.kind !== "data") throw error;
      this.#corrupt += 1;
    }
  }

  /** Returns the structure; `add` must not be called again. */
  finish(): Structure {
    collapseAll(this.#root);
    return { documents: this.#documents, root: this.#root, corrupt: this.#corrupt };
  }

  #countObject(object: ObjectFields, bytes: Uint8Array, at: number, end: number, depth: number): void {
    const walker = this.#walkers[depth] as ElementWalker;
    const instance = (object.objects += 1);
    let expected = 0;
    walker.start(bytes, at, end);
    while (walker.next()) {
      let field = object.list[expected];
      if (field === undefined || !walker.nameIs(field.nameBytes)) {
        field = this.#fieldOf(object, bytes, walker);
        expected = object.list.indexOf(field);
      }
      expected += 1;
      field.countPresence(instance);
      this.#countValue(field, bytes, walker, depth);
    }
  }

  #countValue(field: Field, bytes: Uint8Array, { type, valueBegin, valueEnd }: ElementWalker, depth: number): void {
    const name = typeOf(bytes, type, valueBegin);
    field.seen.count(this.#documents);
    field.tallyOf(name).count(this.#documents);
    if (type === BSON.document || type === BSON.array) {
      if (depth + 1 === MAX_DEPTH) field.isTruncated = true;
      else if (type === BSON.array) this.#countElements(field, bytes, valueBegin, valueEnd, depth + 1);
      else this.#countObject((field.object ??= new ObjectFields()), bytes, valueBegin, valueEnd, depth + 1);
      return;
    }
    field.traits |= traitsOf(bytes, type, valueBegin);
    if (this.#examples === undefined || !wantsExamples(field)) return;
    const example = this.#examples.textOf(bytes, type, valueBegin, valueEnd);
    if (example !== undefined) addExample(field, example);
  }

  #countElements(array: Field, bytes: Uint8Array, at: number, end: number, depth: number): void {
    const items = (array.items ??= namelessField());
    const walker = this.#walkers[depth] as ElementWalker;
    walker.start(bytes, at, end);
    while (walker.next()) this.#countValue(items, bytes, walker, depth);
  }

  /** The field of the current name; for a dynamic key, or beyond the limits, the field of the dynamic keys. */
  #fieldOf(object: ObjectFields, bytes: Uint8Array, { nameBegin, nameEnd }: ElementWalker): Field {
    const isName = nameEnd - nameBegin <= MAX_NAME_BYTES;
    const name = isName ? this.#decoder.decode(bytes.subarray(nameBegin, nameEnd)) : "";
    const known = isName ? object.fields.get(name) : undefined;
    if (known !== undefined) return known;
    if (isName && !object.isMap && this.#hasRoom(object)) {
      const field = new Field(name, bytes.slice(nameBegin, nameEnd));
      object.add(field);
      this.#fields += 1;
      return field;
    }
    object.isTruncated ||= !object.isMap;
    object.dynamicKeys.add(bytes, nameBegin, nameEnd);
    return (object.dynamic ??= namelessField());
  }

  /** Whether the limits allow another field of this object; collapses dynamic keys to make room. */
  #hasRoom(object: ObjectFields): boolean {
    if (object.list.length >= MAX_FIELDS_PER_OBJECT && isWorthCollapsing(object)) {
      collapse(object);
      this.#fields = fieldsIn(this.#root);
    }
    if (this.#fields >= MAX_FIELDS && this.#documents - this.#documentsAtCollapse >= DOCUMENTS_BETWEEN_COLLAPSES) {
      this.#documentsAtCollapse = this.#documents;
      collapseAll(this.#root);
      this.#fields = fieldsIn(this.#root);
    }
    return object.list.length < MAX_FIELDS_PER_OBJECT && this.#fields < MAX_FIELDS;
  }
}

function fieldsIn({ list, dynamic }: ObjectFields): number {
  return list.reduce((sum, field) => sum + 1 + fieldsBelow(field), dynamic === undefined ? 0 : fieldsBelow(dynamic));
}

function fieldsBelow({ object, items }: Field): number {
  return (object === undefined ? 0 : fieldsIn(object)) + (items === undefined ? 0 : fieldsBelow(items));
}

function typeOf(bytes: Uint8Array, type: number, at: number): BsonType {
  if (type === BSON.binary) return bytes[at + 4] === UUID_SUBTYPE ? "uuid" : "binData";
  return must(TYPE_NAMES[type], `a name for the BSON type ${type}`);
}

function traitsOf(bytes: Uint8Array, type: number, at: number): number {
  if (type === BSON.double) return Number.isFinite(readDouble(bytes, at)) ? TRAIT.finite : TRAIT.notFinite;
  if (type !== BSON.date) return 0;
  if (isIsoDate(bytes, at)) return TRAIT.isoDate;
  const ms = readInt32(bytes, at + 4) * 2 ** 32 + readUint32(bytes, at);
  return ms >= YEAR_1_MS && ms < 0 ? TRAIT.farDate : TRAIT.farDate | TRAIT.oddYear;
}

/** Names of `$type` by type byte. */
function typeNamesByByte(): readonly (BsonType | undefined)[] {
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
