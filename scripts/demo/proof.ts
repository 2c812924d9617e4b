/**
 * Holds the output file against two witnesses that know nothing of mongotap: the writer's ledger of acknowledged writes,
 * and the collection itself.
 */

import { createHash } from "node:crypto";
import type { Standing } from "./capture.ts";

/** Who says what the file must hold. */
export interface Witnesses {
  /** `order key → letters of its acknowledged writes`, in the order of the writes. */
  readonly ledger: ReadonlyMap<string, string>;
  /** Order key → canonical Extended JSON of the document, as the collection holds it now. */
  readonly collection: ReadonlyMap<string, string>;
  /** What the state says of the file. */
  readonly state: Pick<Standing, "committedBytes" | "committedLines" | "rows">;
}

export interface Claim {
  readonly text: string;
  /** The first few ways in which it is wrong; none where it holds. */
  readonly faults: readonly string[];
}

export interface Verdict {
  readonly claims: readonly Claim[];
  readonly lines: number;
  readonly rows: number;
  readonly events: Readonly<Record<string, number>>;
  /** Updates whose document was deleted before the server could look it up. */
  readonly missing: number;
}

/** What follows the document in a line of the envelope `meta`. */
interface Meta {
  readonly op: string;
  readonly snapshot?: boolean;
  readonly missing?: boolean;
  readonly order: string;
}

const META = ',"_meta":{';
const count = (n: number): string => n.toLocaleString("en-US");

/** What the lines of the file say of each order. */
class Reading {
  lines = 0;
  bytes = 0;
  rows = 0;
  missing = 0;
  /** The letters of its events. */
  readonly events = new Map<string, string>();
  readonly counts: Record<string, number> = { c: 0, u: 0, d: 0 };
  /** The newest document; deleted orders are not in here. */
  readonly fold = new Map<string, string>();
  readonly torn: string[] = [];
  readonly twice: string[] = [];
  readonly disorder: string[] = [];
  readonly #copied = new Set<string>();
  readonly #lastOrder = new Map<string, string>();

  read(line: string): void {
    this.lines += 1;
    const at = line.lastIndexOf(META);
    const parsed = parse(line);
    if (!parsed || at < 0) {
      this.torn.push(`line ${count(this.lines)}: ${line.slice(0, 60)}…`);
      return;
    }
    const key = parsed._id.$oid;
    const meta = parsed._meta;
    if (meta.snapshot === true) this.#countRow(key);
    else this.#countEvent(key, meta);
    if (meta.order <= (this.#lastOrder.get(key) ?? "")) this.disorder.push(`${key} at line ${count(this.lines)}`);
    this.#lastOrder.set(key, meta.order);
    if (meta.op === "d") this.fold.delete(key);
    else if (meta.missing !== true) this.fold.set(key, `${line.slice(0, at)}}`);
  }

  #countRow(key: string): void {
    this.rows += 1;
    if (this.#copied.has(key)) this.twice.push(key);
    this.#copied.add(key);
  }

  #countEvent(key: string, { op, missing }: Meta): void {
    this.counts[op] = (this.counts[op] ?? 0) + 1;
    this.events.set(key, (this.events.get(key) ?? "") + op);
    if (missing === true) this.missing += 1;
  }
}

function parse(line: string): { _id: { $oid: string }; _meta: Meta } | undefined {
  try {
    return JSON.parse(line) as { _id: { $oid: string }; _meta: Meta };
  } catch {
    return undefined; // torn: counted by the caller
  }
}

/** `text`: the whole output file. */
export function examine(text: Uint8Array, { ledger, collection, state }: Witnesses): Verdict {
  const reading = new Reading();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let begin = 0;
  for (let end = text.indexOf(10); end >= 0; end = text.indexOf(10, begin)) {
    reading.read(decoder.decode(text.subarray(begin, end)));
    begin = end + 1;
  }
  if (begin < text.length) reading.torn.push(`the last ${count(text.length - begin)} bytes have no newline`);
  const events = [...reading.events.values()].reduce((sum, letters) => sum + letters.length, 0);
  const expected = reading.rows + events;
  return {
    lines: reading.lines,
    rows: reading.rows,
    events: reading.counts,
    missing: reading.missing,
    claims: [
      { text: `${count(reading.lines)} lines, each whole and valid JSON`, faults: reading.torn },
      {
        text: `${count(reading.rows)} copied documents, none twice`,
        faults: [...reading.twice, ...difference("copied documents", state.rows, reading.rows)],
      },
      {
        text: `${count(events)} changes: each acknowledged write exactly once, for each order in the order of the writes`,
        faults: differences(ledger, reading.events),
      },
      { text: "for each order, `_meta.order` only grows", faults: reading.disorder },
      {
        text: `folded by key the file gives ${count(reading.fold.size)} orders, byte for byte those of the collection\n(sha256 of the file's ${digest(reading.fold)}, of the collection's ${digest(collection)})`,
        faults: differences(collection, reading.fold),
      },
      {
        text: `the state vouches for ${count(state.committedBytes)} bytes and ${count(state.committedLines)} lines: the whole file`,
        faults: [
          ...difference("bytes", text.length, state.committedBytes),
          ...difference("lines", reading.lines, state.committedLines),
          ...difference("lines of copied documents and changes", expected, reading.lines),
        ],
      },
    ],
  };
}

function difference(what: string, expected: number, found: number): string[] {
  return expected === found ? [] : [`${what}: expected ${count(expected)}, found ${count(found)}`];
}

/** What one map has and the other has not, or has otherwise. */
function differences(expected: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): string[] {
  const faults: string[] = [];
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    const [wanted, got] = [expected.get(key) ?? "nothing", found.get(key) ?? "nothing"];
    if (wanted !== got) faults.push(`${key}: expected ${wanted}, found ${got}`);
  }
  return faults;
}

/** Of all values, sorted by key. */
function digest(documents: ReadonlyMap<string, string>): string {
  const hash = createHash("sha256");
  for (const [, document] of [...documents].toSorted(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${document}\n`);
  return hash.digest("hex").slice(0, 16);
}
