/** Compares the output of a capture with the acknowledged writes and with the collection. */

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

import type { Collection } from "mongodb";
import type { History, Numbered } from "./writers.ts";

interface Line {
  readonly _id: string;
  readonly v?: number;
  readonly text?: string;
  readonly _meta: {
    readonly op: "c" | "u" | "d" | "t";
    readonly snapshot?: boolean;
    readonly missing?: boolean;
    readonly order: string;
  };
}

interface Folded {
  letters: string;
  order: string;
  rows: number;
  /** The document as the last line has it; undefined after a delete. */
  document: { v: number; text: string } | undefined;
  alive: boolean;
}

export interface Verdict {
  readonly lines: number;
  readonly rows: number;
  readonly events: number;
  /** Updates whose document was deleted before the server looked it up: there is no document to compare. */
  readonly missing: number;
  /** Empty if every promise holds. */
  readonly faults: readonly string[];
}

/** `path`: the output file of a capture in the envelope `meta`, caught up after the last write. */
export async function judge(path: string, history: History, collection: Collection<Numbered>): Promise<Verdict> {
  const faults: string[] = [];
  const folded = new Map<string, Folded>();
  const seen = { lines: 0, rows: 0, events: 0, missing: 0 };
  let lastOrder = "";
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    seen.lines += 1;
    const line = parse(text, seen.lines, faults);
    if (!line) continue;
    const { op, order, snapshot, missing } = line._meta;
    if (op === "t") {
      faults.push(`line ${seen.lines}: the collection ended, though nothing ended it: ${text.slice(0, 200)}`);
      continue;
    }
    const known = folded.get(line._id) ?? { letters: "", order: "", rows: 0, document: undefined, alive: false };
    folded.set(line._id, known);
    if (order <= known.order) faults.push(`${line._id}: order ${order} after ${known.order} (line ${seen.lines})`);
    if (order < lastOrder) faults.push(`line ${seen.lines}: order ${order} after ${lastOrder}`);
    lastOrder = order;
    known.order = order;
    if (snapshot) {
      seen.rows += 1;
      known.rows += 1;
    } else {
      seen.events += 1;
      known.letters += op;
    }
    if (missing) seen.missing += 1;
    known.alive = op !== "d";
    if (op === "d") known.document = undefined;
    else if (!missing) known.document = { v: line.v ?? -1, text: line.text ?? "" };
  }
  compareWithHistory(folded, history, faults);
  await compareWithCollection(folded, collection, faults);
  return { ...seen, faults };
}

function parse(text: string, number: number, faults: string[]): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    faults.push(`line ${number} is not valid JSON: ${text.slice(0, 80)}`);
    return undefined;
  }
}

/**
 * Every acknowledged write of a key must have its event, in order. Writes from before the position was pinned are in the
 * copied row instead. There is no row if the key did not exist then, or was deleted before its chunk was read.
 */
function compareWithHistory(folded: ReadonlyMap<string, Folded>, history: History, faults: string[]): void {
  for (const [key, { acknowledged, unknown, early }] of history) {
    const found = folded.get(key) ?? { letters: "", rows: 0 };
    const accepted = unknown === undefined ? [acknowledged] : [acknowledged, acknowledged + unknown];
    if (!accepted.some((letters) => isComplete(letters, found, early))) {
      faults.push(`${key}: acknowledged ${accepted.join(" or ")}, found ${found.letters} and ${found.rows} rows`);
    }
    if (found.rows > 1) faults.push(`${key}: copied ${found.rows} times`);
  }
  for (const key of folded.keys()) if (!history.has(key)) faults.push(`${key}: no writer wrote it`);
}

function isComplete(letters: string, found: { letters: string; rows: number }, early: boolean): boolean {
  if (letters === found.letters) return true;
  if (!letters.endsWith(found.letters)) return false;
  const before = letters.slice(0, letters.length - found.letters.length);
  if (found.rows > 0) return true;
  return early && (before.endsWith("d") || found.letters.includes("d"));
}

async function compareWithCollection(
  folded: ReadonlyMap<string, Folded>,
  collection: Collection<Numbered>,
  faults: string[],
): Promise<void> {
  const left = new Map([...folded].filter(([, found]) => found.alive));
  for await (const document of collection.find({}, { readConcern: { level: "majority" } })) {
    const found = left.get(document._id);
    left.delete(document._id);
    if (!found) faults.push(`${document._id}: in the collection, deleted or absent in the file`);
    else if (found.document?.v !== document.v || found.document.text !== document.text) {
      faults.push(`${document._id}: v ${document.v} in the collection, ${found.document?.v ?? "nothing"} in the file`);
    }
  }
  for (const key of left.keys()) faults.push(`${key}: alive in the file, gone from the collection`);
}
