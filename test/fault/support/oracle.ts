/** Decides whether the output of a capture is whole: docs/reliability.md. */
import { BSON, type Collection } from "mongodb";
import type { Line } from "../../cli/tap.ts";

/** What is wrong with `lines`, which are of `collection` alone and complete; empty where nothing is. */
export async function faultsOf(lines: readonly Line[], collection: Collection): Promise<string[]> {
  const faults = orderFaultsOf(lines);
  const folded = foldOf(lines);
  for await (const document of collection.find({}, { readConcern: { level: "majority" } })) {
    const key = textOf(document._id);
    const found = folded.get(key);
    folded.delete(key);
    if (found === undefined) faults.push(`${key} is in the collection and not in the output`);
    else if (found !== textOf(document)) faults.push(`${key} is ${textOf(document)}, the output says ${found}`);
  }
  for (const key of folded.keys()) faults.push(`${key} is in the output and not in the collection`);
  return faults.slice(0, 20);
}

/** Sort keys never decrease, every event has its own, and every key advances. */
export function orderFaultsOf(lines: readonly Line[]): string[] {
  const faults: string[] = [];
  const events = new Set<string>();
  const last = new Map<string, string>();
  let before = "";
  for (const line of lines) {
    const { op, order, snapshot, source } = metaOf(line);
    const key = `${source.db}.${source.collection} ${JSON.stringify(line._id)}`;
    if (order < before) faults.push(`${key}: order ${order} behind ${before}`);
    before = order;
    if (op === "t") continue; // a rename is the end of two collections at once
    if (snapshot !== true && events.has(order)) faults.push(`${key}: the event ${order} came twice`);
    if ((last.get(key) ?? "") >= order) faults.push(`${key}: ${order} behind ${last.get(key) ?? ""}`);
    if (snapshot !== true) events.add(order);
    last.set(key, order);
  }
  return faults;
}

/**
 * Key → the document of its last line, as text. Lines without their document (it was gone) leave it as it is; the end of the
 * collection takes all of it.
 */
function foldOf(lines: readonly Line[]): Map<string, string> {
  const folded = new Map<string, string>();
  for (const { _meta, ...document } of lines) {
    const key = JSON.stringify(document._id);
    if (_meta?.op === "t") folded.clear();
    else if (_meta?.op === "d") folded.delete(key);
    else if (_meta?.missing === undefined) folded.set(key, JSON.stringify(document));
  }
  return folded;
}

function metaOf(line: Line): NonNullable<Line["_meta"]> {
  if (line._meta === undefined) throw new Error(`a line without _meta: ${JSON.stringify(line).slice(0, 200)}`);
  return line._meta;
}

/** As `--format relaxed` writes it, for values that have one way to be written. */
function textOf(value: unknown): string {
  return JSON.stringify(JSON.parse(BSON.EJSON.stringify(value, { relaxed: true })));
}
