/**
 * Compares the output of a capture with what happened (truth.ts) and with what the database holds. Pure.
 *
 * - Each event of a bound collection has one line, and each end of a bound collection has one.
 * - Each line shows the version of its own event, and each copied document the version of its own time.
 * - Lines are in the order of their times.
 * - The fold (apply the lines in order; the end of a collection takes all of it) is what the database holds.
 */

import { textOf } from "./content.ts";
import type { OutputFile, OutputLine } from "./lines.ts";
import { type Change, type TrueEnd, type Truth, versionAt } from "./truth.ts";

export const KINDS = ["lost", "repeated", "reordered", "ghosts", "stale", "garbled"] as const;
export type Kind = (typeof KINDS)[number];

export interface Case {
  readonly truth: Truth;
  readonly files: readonly OutputFile[];
  /** Whether the capture reads this collection (`db.collection`). */
  readonly isBound: (name: string) => boolean;
  /** The cluster time behind which the stream of the capture had begun for certain. */
  readonly pinnedAt: string;
  /** When its history was taken away: the seconds of a cluster time. */
  readonly losses: readonly string[];
  /** Cluster times (of their seconds) at which a server had started again: it has no older snapshots. */
  readonly restarts: readonly string[];
  /** What the database holds, by collection and key, as JSON. */
  readonly database: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

export interface Verdict {
  readonly lines: number;
  readonly rows: number;
  readonly events: number;
  readonly ends: number;
  /**
   * Updates whose version could no longer be read, so that the line says that it may be newer, or has no document: by what
   * explains it.
   */
  readonly inexact: Readonly<Record<string, number>>;
  readonly counts: Readonly<Record<Kind, number>>;
  /** In words, each with its kind. */
  readonly faults: readonly string[];
}

/** For so long (s) after a disturbance a line may say that its version could not be read: a capture may be behind it. */
const EXPLAINED_SECONDS = 45;

/** Behind every time. */
const END = "g";

export function judge(given: Case): Verdict {
  const trial = new Trial(given);
  for (const file of given.files) trial.readFile(file);
  trial.findMissing();
  trial.compareFolds();
  return trial.verdict();
}

/** The events of one document at one time. */
interface Expected {
  readonly changes: readonly Change[];
  /** How many of them have a line. */
  seen: number;
}

class Trial {
  readonly #case: Case;
  readonly #faults: string[] = [];
  readonly #counts: Record<Kind, number> = { lost: 0, repeated: 0, reordered: 0, ghosts: 0, stale: 0, garbled: 0 };
  readonly #expected = new Map<string, Expected>();
  readonly #ends = new Map<string, { readonly end: TrueEnd; seen: number }>();
  /** The times of ends that no event has reported: everything begins anew there. */
  readonly #anew = new Map<string, OutputLine>();
  readonly #times = new Set<string>();
  readonly #folds = new Map<string, Map<string, string>>();
  readonly #copied = new Map<string, Set<string>>();
  readonly #seen = { lines: 0, rows: 0, events: 0, ends: 0 };
  readonly #inexact: Record<string, number> = {};

  constructor(given: Case) {
    this.#case = given;
    const { truth, isBound } = given;
    const bound = truth.changes.filter(({ name }) => isBound(name));
    for (const [id, changes] of Map.groupBy(bound, eventId)) this.#expected.set(id, { changes, seen: 0 });
    for (const end of truth.ends) if (isBound(end.name)) this.#ends.set(eventId(end), { end, seen: 0 });
  }

  readFile({ lines, garbled }: OutputFile): void {
    for (const text of garbled) this.#fault("garbled", text);
    let before = "";
    for (const line of lines) {
      this.#seen.lines += 1;
      if (line.order < before) this.#fault("reordered", `${textOfLine(line)} is behind ${before}`);
      before = line.order;
      this.#times.add(timeOf(line));
      if (!this.#case.isBound(line.name)) this.#fault("ghosts", `${textOfLine(line)}: the collection is not bound`);
      if (line.op === "t") this.#readEnd(line);
      else if (line.isRow) this.#readRow(line);
      else this.#readEvent(line);
      this.#apply(line);
    }
  }

  #readEnd(line: OutputLine): void {
    this.#seen.ends += 1;
    this.#copied.delete(line.name);
    const found = this.#ends.get(eventId({ name: line.name, key: "", time: timeOf(line) }));
    if (found === undefined) {
      const isAnew = line.reason === "copied again" || line.reason === "dropped";
      if (isAnew) this.#anew.set(timeOf(line), line);
      else this.#fault("ghosts", `${textOfLine(line)}: nothing ended the collection`);
      return;
    }
    found.seen += 1;
    if (found.seen > 1) this.#fault("repeated", textOfLine(line));
    if (found.end.reason !== line.reason || found.end.to !== line.to)
      this.#fault("garbled", `${textOfLine(line)}: it was ${found.end.reason} ${found.end.to ?? ""}`);
  }

  #readRow(line: OutputLine): void {
    this.#seen.rows += 1;
    const copied = this.#copied.get(line.name) ?? new Set();
    this.#copied.set(line.name, copied);
    if (copied.has(line.key)) this.#fault("repeated", textOfLine(line));
    copied.add(line.key);
    const time = timeOf(line);
    const v = versionAt(this.#case.truth.collectionAt(line.name, time), line.key, time);
    if (v === undefined) this.#fault("ghosts", `${textOfLine(line)}: there was no such document`);
    else this.#expectVersion(line, [v]);
  }

  #readEvent(line: OutputLine): void {
    this.#seen.events += 1;
    const found = this.#expected.get(eventId({ name: line.name, key: line.key, time: timeOf(line) }));
    const change = found?.changes[found.seen];
    if (found === undefined) return this.#fault("ghosts", `${textOfLine(line)}: there was no such event`);
    found.seen += 1;
    if (change === undefined) return this.#fault("repeated", textOfLine(line));
    if (change.op !== line.op) return this.#fault("reordered", `${textOfLine(line)}: the event was ${change.op}`);
    if (line.before !== undefined && line.before !== documentText(change.key, change.before))
      this.#fault("stale", `${textOfLine(line)}: before it v was ${change.before ?? "nothing"}`);
    if (line.op === "d") return undefined;
    // Of several updates in one transaction the last one decides.
    const last = found.changes.at(-1)?.v;
    if (line.document === undefined) this.#readMissing(line, change, last);
    else if (!line.isExact) this.#readInexact(line, change);
    else this.#expectVersion(line, change.op === "u" ? [change.v, last] : [change.v]);
  }

  #readMissing(line: OutputLine, change: Change, last: number | undefined): void {
    if (line.missing === "deleted" && last === undefined) return;
    if (line.missing !== "unavailable" || !this.#isExplained(change))
      this.#fault(
        "stale",
        `${textOfLine(line)}: no document (${line.missing ?? "unsaid"}), it was v ${change.v ?? "?"}`,
      );
  }

  #readInexact(line: OutputLine, change: Change): void {
    const v = versionOf(line);
    const versions = change.collection.versions.get(change.key) ?? [];
    const isLater = versions.some((version) => version.time >= change.time && version.v === v);
    if (!isLater) this.#fault("stale", `${textOfLine(line)}: v ${v} is no later version of the document`);
    if (line.document !== documentText(line.key, v)) this.#fault("garbled", textOfLine(line));
    if (!this.#isExplained(change)) this.#fault("stale", `${textOfLine(line)}: not exact, and nothing explains it`);
  }

  /** A server that was started again, or whose collection was renamed or dropped, has no older snapshots. */
  #isExplained({ time, collection }: Change): boolean {
    const seconds = secondsOf(time);
    const isSoonAfter = (other: string): boolean =>
      secondsOf(other) >= seconds && secondsOf(other) <= seconds + EXPLAINED_SECONDS;
    const near = collection.disturbed.find((one) => one.time >= time && isSoonAfter(one.time));
    const cause = near?.how ?? (this.#case.restarts.some(isSoonAfter) ? "restart" : undefined);
    this.#inexact[cause ?? "unexplained"] = (this.#inexact[cause ?? "unexplained"] ?? 0) + 1;
    return cause !== undefined;
  }

  #expectVersion(line: OutputLine, accepted: readonly (number | undefined)[]): void {
    const v = versionOf(line);
    if (!accepted.includes(v))
      this.#fault("stale", `${textOfLine(line)}: shows v ${v}, it was v ${accepted.join(" or ")}`);
    else if (line.document !== documentText(line.key, v))
      this.#fault("garbled", `${textOfLine(line)}: ${line.document}`);
  }

  #apply({ name, key, op, document }: OutputLine): void {
    const documents = this.#folds.get(name) ?? new Map<string, string>();
    this.#folds.set(name, documents);
    if (op === "t") documents.clear();
    else if (op === "d") documents.delete(key);
    else if (document !== undefined) documents.set(key, document);
  }

  /** What happened behind the beginning has a line, unless its history was lost. */
  findMissing(): void {
    const times = [...this.#times].toSorted((a, b) => (a < b ? -1 : 1));
    const losses = new Set(this.#case.losses);
    const isLoss = (begin: string, end: string): boolean => {
      const loss = [...losses].find((one) => one >= begin.slice(0, 8) && one <= end.slice(0, 8));
      return loss !== undefined && losses.delete(loss);
    };
    const gaps: { begin: string; end: string }[] = [];
    for (const [end, line] of [...this.#anew].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const begin = times.findLast((time) => time < end) ?? "";
      if (isLoss(begin, end)) gaps.push({ begin, end });
      else this.#fault("lost", `${textOfLine(line)}: no history was lost`);
    }
    const missing = this.#missing().filter(({ time }) => !gaps.some((gap) => time > gap.begin && time <= gap.end));
    // Where the output held nothing that a loss made void, no line speaks of it: no line is in this time at all.
    const runs = Map.groupBy(missing, ({ time }) => times.findLast((one) => one < time) ?? "");
    for (const [begin, run] of runs) {
      if (isLoss(begin, times.find((one) => one > begin) ?? END)) continue;
      for (const { text } of run) this.#fault("lost", text);
    }
  }

  #missing(): { time: string; text: string }[] {
    const { pinnedAt } = this.#case;
    const events = [...this.#expected.values()].flatMap(({ changes, seen }) =>
      changes.slice(seen).map(({ time, name, key, op, v }) => ({
        time,
        text: `${op} of ${name} ${key} at ${time} (v ${v ?? "none"})`,
      })),
    );
    const ends = [...this.#ends.values()].flatMap(({ end: { time, name, reason }, seen }) =>
      seen > 0 ? [] : [{ time, text: `${name} ${reason} at ${time}` }],
    );
    return [...events, ...ends].filter(({ time }) => time > pinnedAt);
  }

  compareFolds(): void {
    const { database, isBound } = this.#case;
    for (const name of new Set([...this.#folds.keys(), ...database.keys()].filter(isBound))) {
      const folded = this.#folds.get(name) ?? new Map<string, string>();
      const documents = database.get(name) ?? new Map<string, string>();
      for (const [key, document] of documents) {
        const found = folded.get(key);
        if (found === undefined) this.#fault("lost", `${name} ${key} is in the database, not in the fold`);
        else if (found !== document)
          this.#fault("stale", `${name} ${key} is ${found} in the fold, ${document} in the database`);
      }
      for (const key of folded.keys())
        if (!documents.has(key)) this.#fault("ghosts", `${name} ${key} is in the fold, not in the database`);
    }
  }

  #fault(kind: Kind, text: string): void {
    this.#counts[kind] += 1;
    this.#faults.push(`${kind}: ${text}`);
  }

  verdict(): Verdict {
    return { ...this.#seen, inexact: this.#inexact, counts: this.#counts, faults: this.#faults };
  }
}

function eventId({
  name,
  key = "",
  time,
}: {
  readonly name: string;
  readonly key?: string;
  readonly time: string;
}): string {
  return `${name} ${key} ${time}`;
}

function timeOf({ order }: OutputLine): string {
  return order.slice(0, 16);
}

function secondsOf(time: string): number {
  return Number.parseInt(time.slice(0, 8), 16);
}

function versionOf({ document }: OutputLine): number {
  return (JSON.parse(document ?? "{}") as { readonly v?: number }).v ?? -1;
}

function documentText(key: string, v: number | undefined): string | undefined {
  return v === undefined ? undefined : textOf(key, v);
}

function textOfLine({ at, op, name, key, order, reason }: OutputLine): string {
  return `${at} (${op} ${name} ${key}${reason ?? ""}, ${order})`;
}
