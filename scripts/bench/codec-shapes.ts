/** The documents of the codec benchmark: the same bytes on every run. */

import { Binary, Decimal128, Double, Int32, Long, ObjectId, serialize } from "bson";
import { Random } from "../lib/random.ts";

export interface Shape {
  readonly name: string;
  /** Concatenated documents, at least `bytes` in total. */
  build(bytes: number): Uint8Array;
}

const numbers = new Random(7);
const random = (): number => numbers.next();
const whole = (below: number): number => numbers.whole(below);
const pick = <T>(list: readonly T[]): T => numbers.pick(list);
const hex = (digits: number): string => Array.from({ length: digits }, () => whole(16).toString(16)).join("");
const date = (): Date => new Date(1_500_000_000_000 + whole(300_000_000_000));
const WORDS = "the quick brown fox jumps over a lazy dog while twelve grey boxing wizards watch from afar".split(" ");
const FOREIGN = "grüße aus Köln; привет, мир; 東京都は晴れです; naïve café à la carte; 😀 emoji; ελληνικά".split(" ");
const text = (words: number, from: readonly string[] = WORDS): string =>
  Array.from({ length: words }, () => pick(from)).join(" ");

/** About 200 bytes: what most event and user tables look like. */
function flat(): object {
  return {
    _id: new ObjectId(hex(24)),
    user: whole(1e6),
    name: text(2),
    email: `${hex(8)}@example.com`,
    score: Math.round(random() * 10_000) / 100,
    active: random() < 0.5,
    visits: Long.fromNumber(whole(1e9)),
    created: date(),
    country: pick(["NO", "DE", "JP", "US"]),
  };
}

/** About 0.8 KB: an order with lines and two addresses. */
function order(): object {
  const address = (): object => ({
    street: `${whole(200)} ${text(2)} street`,
    city: pick(["Oslo", "Köln", "Lyon", "Osaka"]),
    zip: String(10_000 + whole(89_999)),
    geo: { lat: new Double(random() * 180 - 90), lon: new Double(random() * 360 - 180) },
  });
  return {
    _id: new ObjectId(hex(24)),
    number: whole(1e9),
    customer: { id: new ObjectId(hex(24)), name: text(2), email: `${hex(10)}@example.com`, vip: random() < 0.1 },
    placed: date(),
    updated: date(),
    status: pick(["new", "paid", "shipped", "returned"]),
    total: new Double(Math.round(random() * 100_000) / 100),
    discount: Decimal128.fromString((random() * 10).toFixed(2)),
    shipping: address(),
    billing: address(),
    lines: Array.from({ length: 4 }, (_, index) => ({
      sku: `SKU-${whole(1e6)}`,
      position: index,
      quantity: 1 + whole(9),
      price: new Double(Math.round(random() * 10_000) / 100),
      taxed: random() < 0.9,
    })),
    tags: [pick(WORDS), pick(WORDS), pick(WORDS)],
    note: random() < 0.5 ? null : text(8),
    revision: Long.fromNumber(whole(1e12)),
  };
}

/** 500 fields of mixed scalars: what an export of a form or of telemetry looks like. */
function wide(): object {
  const fields: [string, unknown][] = [["_id", new ObjectId(hex(24))]];
  const kinds = [
    () => new Int32(whole(1e6)),
    () => new Double(Math.round(random() * 1e6) / 1e3),
    () => text(1 + whole(3)),
    () => random() < 0.5,
    date,
    () => null,
    () => Long.fromNumber(whole(1e12)),
    () => new ObjectId(hex(24)),
    () =>
      new Binary(
        Uint8Array.from({ length: 16 }, () => whole(256)),
        4,
      ),
  ];
  for (let i = 1; i < 500; i++) fields.push([`field_${i}`, (kinds[i % kinds.length] as () => unknown)()]);
  return Object.fromEntries(fields);
}

/** About 5 KB: texts, half of them far from ASCII, with quotes and line ends. */
function article(): object {
  return {
    _id: new ObjectId(hex(24)),
    title: text(8),
    english: Array.from({ length: 8 }, () => `${text(30)} "${text(3)}"`).join("\n"),
    foreign: Array.from({ length: 8 }, () => text(30, FOREIGN)).join("\n"),
    summary: text(40),
  };
}

/** About 3 KB: readings of a sensor and an embedding. */
function numeric(): object {
  return {
    _id: new ObjectId(hex(24)),
    sensor: whole(1e4),
    counts: Array.from({ length: 100 }, () => whole(1e5)),
    prices: Array.from({ length: 60 }, () => new Double(Math.round(random() * 10_000) / 100)),
    embedding: Array.from({ length: 60 }, () => new Double(random() * 2 - 1)),
    totals: Array.from({ length: 30 }, () => Long.fromNumber(whole(1e12))),
  };
}

function shapeOf(name: string, make: () => object): Shape {
  return {
    name,
    build(bytes) {
      const documents: Uint8Array[] = [];
      let length = 0;
      while (length < bytes) {
        const document = serialize(make());
        documents.push(document);
        length += document.length;
      }
      const all = new Uint8Array(length);
      let at = 0;
      for (const document of documents) {
        all.set(document, at);
        at += document.length;
      }
      return all;
    },
  };
}

export const SHAPES: readonly Shape[] = [
  shapeOf("small flat", flat),
  shapeOf("typical", order),
  shapeOf("wide", wide),
  shapeOf("long strings", article),
  shapeOf("numeric arrays", numeric),
];
