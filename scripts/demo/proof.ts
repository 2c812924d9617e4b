/**
 * Compares the output file with two witnesses that are independent of mongotap: the writer's ledger of acknowledged
 * writes, and the collection itself.
 */

import { createHash } from "node:crypto";
import type { CaptureStatus } from "./capture.ts";

/** What the file is compared with. */
export interface Witnesses {
  /** `order key → letters of its acknowledged writes`, in the order of the writes. */
  readonly ledger: ReadonlyMap<string, string>;
  /** Order key → canonical Extended JSON of the document, as the collection holds it now. */
  readonly collection: ReadonlyMap<string, string>;
  /** How much of the file the state covers. */
  readonly state: Pick<CaptureStatus, "committedBytes" | "committedLines" | "rows">;
}

export interface Claim {
  readonly text: string;
  /** Each contradiction that was found; empty if the claim holds. */
  readonly faults: readonly string[];
}

export interface Verdict {
  readonly claims: readonly Claim[];
  readonly lines: number;
  readonly rows: number;
  readonly events: Readonly<Record<string, number>>;
  /** Updates without a document. */
  readonly missing: number;
}

/** What follows the document in a line of the envelope `meta`. */
interface Meta {
  readonly op: string;
  readonly snapshot?: boolean;
  readonly missing?: string;
  readonly order: string;
}

const META = ',"_meta":{';
const count = (n: number): string => n.toLocaleString("en-US");

/** The lines of the file, by order. */
class FileContent {
  lines = 0;
  bytes = 0;
  rows = 0;
  missing = 0;
  /** The letters of its events. */
  readonly events = new Map<string, string>();
  readonly counts: Record<string, number> = { c: 0, u: 0, d: 0 };
  /** The newest document; deleted orders are not in here. */
  readonly fold = new Map<string, string>();
  readonly broken: string[] = [];
  readonly twice: string[] = [];
  readonly disorder: string[] = [];
  readonly #copied = new Set<string>();
  readonly #lastOrder = new Map<string, string>();

  read(line: string): void {
    this.lines += 1;
    const at = line.lastIndexOf(META);
    const parsed = parse(line);
    if (!parsed || at < 0) {
      this.broken.push(`line ${count(this.lines)}: ${line.slice(0, 60)}…`);
      return;
    }
    const key = parsed._id.$oid;
    const meta = parsed._meta;
    if (meta.snapshot === true) this.#countRow(key);
    else this.#countEvent(key, meta);
    if (meta.order <= (this.#lastOrder.get(key) ?? "")) this.disorder.push(`${key} at line ${count(this.lines)}`);
    this.#lastOrder.set(key, meta.order);
    if (meta.op === "d") this.fold.delete(key);
    else if (meta.missing === undefined) this.fold.set(key, `${line.slice(0, at)}}`);
  }

  #countRow(key: string): void {
    this.rows += 1;
    if (this.#copied.has(key)) this.twice.push(key);
    this.#copied.add(key);
  }

  #countEvent(key: string, { op, missing }: Meta): void {
    this.counts[op] = (this.counts[op] ?? 0) + 1;
    this.events.set(key, (this.events.get(key) ?? "") + op);
    if (missing !== undefined) this.missing += 1;
  }
}

function parse(line: string): { _id: { $oid: string }; _meta: Meta } | undefined {
  try {
    return JSON.parse(line) as { _id: { $oid: string }; _meta: Meta };
  } catch {
    return undefined; // the caller counts it as broken
  }
}

/** `text`: the whole output file. */
export function examine(text: Uint8Array, { ledger, collection, state }: Witnesses): Verdict {
  const content = new FileContent();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let begin = 0;
  for (let end = text.indexOf(10); end >= 0; end = text.indexOf(10, begin)) {
    content.read(decoder.decode(text.subarray(begin, end)));
    begin = end + 1;
  }
  if (begin < text.length) content.broken.push(`the last ${count(text.length - begin)} bytes have no newline`);
  const events = [...content.events.values()].reduce((sum, letters) => sum + letters.length, 0);
  const expected = content.rows + events;
  return {
    lines: content.lines,
    rows: content.rows,
    events: content.counts,
    missing: content.missing,
    claims: [
      { text: `${count(content.lines)} lines, each whole and valid JSON`, faults: content.broken },
      {
        text: `${count(content.rows)} copied documents, none twice`,
        faults: [...content.twice, ...difference("copied documents", state.rows, content.rows)],
      },
      {
        text: `${count(events)} changes: each acknowledged write exactly once, for each order in the order of the writes`,
        faults: differences(ledger, content.events),
      },
      { text: "for each order, `_meta.order` only grows", faults: content.disorder },
      {
        text: `folded by key the file gives ${count(content.fold.size)} orders, byte for byte those of the collection\n(sha256 of the file's ${digest(content.fold)}, of the collection's ${digest(collection)})`,
        faults: differences(collection, content.fold),
      },
      {
        text: `the state covers ${count(state.committedBytes)} bytes and ${count(state.committedLines)} lines: the whole file`,
        faults: [
          ...difference("bytes", text.length, state.committedBytes),
          ...difference("lines", content.lines, state.committedLines),
          ...difference("lines of copied documents and changes", expected, content.lines),
        ],
      },
    ],
  };
}

function difference(what: string, expected: number, found: number): string[] {
  return expected === found ? [] : [`${what}: expected ${count(expected)}, found ${count(found)}`];
}

/** The keys whose values differ, or that only one map has. */
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
