/** The collections that are measured: six shapes of documents, each document a function of its number alone. */

import { Double, Long } from "mongodb";
import {
  objectIdOf,
  randomOf,
  smallDocument,
  type TestDocument,
  typicalDocument,
} from "../../test/support/documents.ts";

export type ShapeName = "typical" | "small" | "large" | "wide" | "text" | "numeric";

export interface Shape {
  readonly name: ShapeName;
  readonly text: string;
  /** How many documents for each typical one, so that all collections are about equally large. */
  readonly share: number;
  readonly make: (number: number) => TestDocument;
}

export const SHAPES: readonly Shape[] = [
  { name: "typical", text: "typical: 0.8 KB, an order with nested parts", share: 1, make: typicalDocument },
  { name: "small", text: "small: 200 B, flat", share: 2, make: smallDocument },
  { name: "large", text: "large: 20 KB, an order with a long text", share: 0.03, make: largeDocument },
  { name: "wide", text: "wide: 450 fields of mixed scalars", share: 0.06, make: wideDocument },
  { name: "text", text: "long text: 5 KB, mostly not ASCII", share: 0.12, make: textDocument },
  { name: "numeric", text: "numeric arrays: 3 KB of readings and an embedding", share: 0.2, make: numericDocument },
];

const WIDTH = 450;
const WORDS = 'quick brown fox jumps over a lazy dog while "seven" wizards\tmix C:\\jugs of liquid — naïvely'.split(
  " ",
);
const PHRASES =
  "grüße aus Köln; привет, мир; 東京都は晴れです; naïve café à la carte; 😀 emoji; ελληνικά; plain words between".split(
    " ",
  );
/** Paragraphs made once: long documents are put together of them, which is much faster than word by word. */
const FOREIGN = Array.from({ length: 300 }, (_, i) => `${phrase(randomOf(i), 45)} "${phrase(randomOf(-i), 3)}"`);
const PLAIN = Array.from({ length: 300 }, (_, i) => {
  const random = randomOf(i);
  return Array.from({ length: 100 }, () => pick(WORDS, random)).join(" ");
});

/** 450 fields: what an export of a form or of telemetry looks like. */
function wideDocument(number: number): TestDocument {
  const random = randomOf(number);
  const fields: TestDocument = { _id: objectIdOf(number) };
  const kinds: readonly (() => unknown)[] = [
    () => Math.floor(random() * 1e6),
    () => Math.floor(random() * 1e6) / 1e3,
    () => phrase(random, 1 + Math.floor(random() * 2)),
    () => random() < 0.5,
    () => new Date(1_500_000_000_000 + Math.floor(random() * 3e11)),
    () => null,
    () => Long.fromNumber(Math.floor(random() * 1e12)),
    () => objectIdOf(Math.floor(random() * 1e9)),
  ];
  for (let field = 1; field < WIDTH; field += 1) fields[`field_${field}`] = kinds[field % kinds.length]?.();
  return fields;
}

/** About 5 KB: texts with quotes and line ends, mostly far from ASCII. */
function textDocument(number: number): TestDocument {
  const random = randomOf(number);
  const paragraphs = Array.from({ length: 12 }, () => pick(FOREIGN, random));
  return { _id: objectIdOf(number), title: phrase(random, 6), body: paragraphs.join("\n") };
}

/** About 20 KB: a typical one with a long text that is mostly ASCII. */
function largeDocument(number: number): TestDocument {
  const paragraphs = Array.from({ length: 32 }, (_, i) => pick(PLAIN, randomOf(number * 32 + i)));
  return { ...typicalDocument(number), text: paragraphs.join("\n") };
}

/** About 3 KB: readings of a sensor and an embedding. */
function numericDocument(number: number): TestDocument {
  const random = randomOf(number);
  const array = (length: number, make: () => unknown): unknown[] => Array.from({ length }, make);
  return {
    _id: objectIdOf(number),
    sensor: number % 10_000,
    counts: array(100, () => Math.floor(random() * 1e5)),
    prices: array(60, () => new Double(Math.floor(random() * 1e4) / 100)),
    embedding: array(60, () => new Double(random() * 2 - 1)),
    totals: array(30, () => Long.fromNumber(Math.floor(random() * 1e12))),
  };
}

function phrase(random: () => number, words: number): string {
  return Array.from({ length: words }, () => pick(PHRASES, random)).join(" ");
}

function pick(list: readonly string[], random: () => number): string {
  return list[Math.floor(random() * list.length)] ?? "";
}
