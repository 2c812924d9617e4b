/** Documents for tests and benchmarks, the same ones on every run: each is a function of its number alone. */
import {
  BSONSymbol,
  Binary,
  Code,
  type Collection,
  DBRef,
  Decimal128,
  type Document,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from "mongodb";
import { Random } from "../../scripts/lib/random.ts";

/** About 200 bytes of BSON, flat; the usual 0.8 KB, an order with nested parts; 20 KB, the same with a long text. */
export type DocumentKind = "small" | "typical" | "large";

export type TestDocument = Document & { _id: ObjectId };

/** Yields `count` documents of this kind, numbered from `from`. */
export function* documents(kind: DocumentKind, count: number, from = 0): Generator<TestDocument, void, undefined> {
  const make = { small: smallDocument, typical: typicalDocument, large: largeDocument }[kind];
  for (let number = from; number < from + count; number += 1) yield make(number);
}

const CITIES = ["Zürich", "São Paulo", "Kraków", "Austin", "東京", "Nairobi", "Reykjavík", "Porto"] as const;
const GOODS = ["lamp", "desk", "chair", "shelf", "kettle", "rug", "mirror", "clock", "vase", "stool"] as const;
const STATES = ["open", "paid", "packed", "sent", "returned"] as const;
const WORDS = 'quick brown fox jumps over a lazy dog while "seven" wizards\tmix C:\\jugs of liquid — naïvely, 😀'.split(
  " ",
);

/** About 200 bytes of BSON: flat. */
export function smallDocument(number: number): TestDocument {
  const random = randomOf(number);
  return {
    _id: objectIdOf(number),
    sequence: number,
    name: `${pick(GOODS, random)} ${number}`,
    city: pick(CITIES, random),
    amount: cents(random, 1_000),
    state: pick(STATES, random),
    isGift: random() < 0.1,
    at: dateOf(number),
    note: random() < 0.2 ? null : sentence(random, 9),
    weight: new Double(Math.floor(random() * 50)),
  };
}

/** About 0.8 KB of BSON: an order with a customer, an address and two to four lines. */
export function typicalDocument(number: number): TestDocument {
  const random = randomOf(number);
  const lines = Array.from({ length: 2 + Math.floor(random() * 3) }, (_, line) => ({
    sku: `SKU-${1000 + Math.floor(random() * 9000)}`,
    name: pick(GOODS, random),
    quantity: 1 + Math.floor(random() * 5),
    price: cents(random, 500),
    discount: line === 0 ? 0.05 : 0,
  }));
  return {
    _id: objectIdOf(number),
    order: number,
    state: pick(STATES, random),
    createdAt: dateOf(number),
    updatedAt: new Date(dateOf(number).getTime() + Math.floor(random() * 86_400_000)),
    customer: {
      id: Long.fromNumber(10_000_000_000 + Math.floor(random() * 1_000_000)),
      name: `${pick(WORDS, random)} ${pick(CITIES, random)}`,
      email: `customer-${Math.floor(random() * 1e6)}@example.com`,
      isVip: random() < 0.05,
      address: {
        street: `${sentence(random, 2)} ${1 + Math.floor(random() * 200)}`,
        zip: String(10_000 + Math.floor(random() * 89_999)),
        city: pick(CITIES, random),
        location: { type: "Point", coordinates: [random() * 360 - 180, random() * 180 - 90] },
      },
    },
    lines,
    total: Decimal128.fromString(cents(random, 2_000).toFixed(2)),
    tags: [pick(STATES, random), pick(GOODS, random)],
    coupon: null,
    note: sentence(random, 18),
  };
}

/** About 20 KB of BSON: a typical one with a long text. */
function largeDocument(number: number): TestDocument {
  const random = randomOf(number + 0.5);
  return { ...typicalDocument(number), text: sentence(random, 3_170) };
}

/**
 * An `_id` of every BSON type that a server takes, in no particular order, none equal to another. (Arrays, regular
 * expressions and undefined are refused; -0 is the zero here, since it equals 0.)
 */
export const everyIdType: readonly { readonly name: string; readonly id: unknown }[] = [
  { name: "MinKey", id: new MinKey() },
  { name: "MaxKey", id: new MaxKey() },
  { name: "null", id: null },
  { name: "false", id: false },
  { name: "true", id: true },
  { name: "NaN", id: new Double(Number.NaN) },
  { name: "Infinity", id: new Double(Number.POSITIVE_INFINITY) },
  { name: "-Infinity", id: new Double(Number.NEGATIVE_INFINITY) },
  { name: "-0", id: new Double(-0) },
  { name: "integral double", id: new Double(7) },
  { name: "double", id: new Double(-12.75) },
  { name: "smallest double", id: new Double(Number.MIN_VALUE) },
  { name: "largest double", id: new Double(Number.MAX_VALUE) },
  { name: "int", id: new Int32(-42) },
  { name: "largest int", id: new Int32(2_147_483_647) },
  { name: "small long", id: Long.fromNumber(5) },
  { name: "long beyond doubles", id: Long.fromString("9007199254740993") },
  { name: "smallest long", id: Long.MIN_VALUE },
  { name: "largest long", id: Long.MAX_VALUE },
  { name: "decimal", id: Decimal128.fromString("0.1") },
  { name: "decimal with zeros", id: Decimal128.fromString("120.500") },
  { name: "largest decimal", id: Decimal128.fromString("9.999999999999999999999999999999999E+6144") },
  { name: "smallest decimal", id: Decimal128.fromString("-9.999999999999999999999999999999999E+6144") },
  { name: "empty string", id: "" },
  { name: "string", id: "plain" },
  { name: "string that is a number", id: "5" },
  { name: "string with every trouble", id: 'quote " backslash \\ newline \n zero \0 slash / emoji 😀 U+2028 \u2028' },
  { name: "string with a dollar and a dot", id: "$a.b" },
  { name: "composed accent", id: "\u00e9" },
  { name: "decomposed accent", id: "e\u0301" },
  { name: "long string", id: "x".repeat(900) },
  { name: "symbol", id: new BSONSymbol("symbol") },
  { name: "empty document", id: {} },
  { name: "document", id: { a: 1, b: 2 } },
  { name: "document in another order", id: { b: 2, a: 1 } },
  { name: "nested document", id: { a: { b: [1, { c: null }, /x/i] }, d: new MaxKey() } },
  { name: "document with __proto__", id: JSON.parse('{"__proto__": 1, "constructor": 2}') },
  { name: "reference", id: new DBRef("things", new ObjectId("0123456789abcdef01234567")) },
  { name: "code", id: new Code("return 1") },
  { name: "code with scope", id: new Code("return x", { x: 1 }) },
  { name: "ObjectId", id: new ObjectId("65f000000000000000000001") },
  { name: "smallest ObjectId", id: new ObjectId("000000000000000000000000") },
  { name: "largest ObjectId", id: new ObjectId("ffffffffffffffffffffffff") },
  { name: "date", id: new Date("2024-02-29T12:34:56.789Z") },
  { name: "date before 1970", id: new Date("1815-12-10T00:00:00.001Z") },
  { name: "date after 9999", id: new Date(253_402_300_800_000) },
  { name: "first date", id: new Date(-8_640_000_000_000_000) },
  { name: "last date", id: new Date(8_640_000_000_000_000) },
  { name: "timestamp", id: new Timestamp({ t: 1_700_000_000, i: 7 }) },
  { name: "zero timestamp", id: new Timestamp({ t: 0, i: 0 }) },
  { name: "largest timestamp", id: new Timestamp({ t: 4_294_967_295, i: 4_294_967_295 }) },
  { name: "empty binary", id: new Binary(new Uint8Array(0)) },
  ...[0, 1, 2, 3, 5, 6, 8, 128, 255].map((subtype) => ({
    name: `binary of subtype ${subtype}`,
    id: new Binary(
      Uint8Array.from({ length: 16 }, (_, index) => (index * 37 + subtype) % 256),
      subtype,
    ),
  })),
  { name: "UUID", id: new UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6") },
];

/**
 * Inserts `{_id, name}` for each of `everyIdType`. A plain command, because the driver's `insertOne()` takes an `_id` of null
 * for a missing one and makes up another.
 */
export async function insertEveryIdType(collection: Collection): Promise<void> {
  const all = everyIdType.map(({ name, id }) => ({ _id: id, name }));
  await collection.db.command({ insert: collection.collectionName, documents: all, writeConcern: { w: "majority" } });
}

/** Numbers in [0, 1) for data that is the same in every run: they depend on the seed alone. */
export function randomOf(seed: number): () => number {
  const random = new Random(Math.imul(Math.floor(seed * 2) + 1, 0x9e3779b1)); // seeds are multiples of 0.5
  return () => random.next();
}

/** Ascending with `number`, as the ids of documents that were inserted one after the other. */
export function objectIdOf(number: number): ObjectId {
  const seconds = 1_700_000_000 + Math.floor(number / 1_000);
  return new ObjectId(
    seconds.toString(16).padStart(8, "0") + "feedc0de5a" + (number % 1_000).toString(16).padStart(6, "0"),
  );
}

function dateOf(number: number): Date {
  return new Date(1_700_000_000_000 + number * 1_013);
}

function cents(random: () => number, below: number): number {
  return Math.floor(random() * below * 100) / 100;
}

function pick(list: readonly string[], random: () => number): string {
  return list[Math.floor(random() * list.length)] ?? "";
}

function sentence(random: () => number, words: number): string {
  return Array.from({ length: words }, () => pick(WORDS, random)).join(" ");
}
