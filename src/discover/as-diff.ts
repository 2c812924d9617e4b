/** Changes for people and for programs. */

import { countOf } from "../observe/stats.ts";
import { tableOf } from "../observe/table.ts";
import type { Change } from "./diff.ts";
import { printable } from "./paths.ts";

const MARKS = { added: "+", removed: "-", "type-added": "~", "type-removed": "~", changed: "~" } as const;

export interface Comparison {
  readonly changes: readonly Change[];
  /** When the earlier look was taken, as an ISO date. */
  readonly since: string;
  readonly collections: number;
}

export function diffTable({ changes, since, collections }: Comparison): string {
  const rows = changes.map((change) => [
    MARKS[change.change],
    printable(change.collection),
    change.path ?? "",
    `${wordsOf(change)}${shareOf(change)}`,
  ]);
  const table = rows.length === 0 ? "" : `${tableOf(["", "NAMESPACE", "FIELD", "CHANGE"], rows)}\n`;
  const total = changes.length === 0 ? "no drift" : countOf(changes.length, "change");
  return `${table}${total} since ${printable(since)} in ${countOf(collections, "collection")}\n`;
}

/** One change on each line. */
export function diffJson({ changes, since, collections }: Comparison): string {
  const head = JSON.stringify({ since, collections }).slice(0, -1);
  return `${head},"changes":[\n${changes.map((change) => JSON.stringify(change)).join(",\n")}\n]}\n`;
}

function wordsOf({ change, path, what }: Change): string {
  const names = printable(what.join(", "));
  switch (change) {
    case "added":
      return `new: ${names}`;
    case "removed":
      return `gone: was ${names}`;
    case "type-added":
      return `now also ${names}`;
    case "type-removed":
      return `no longer ${names}`;
    case "changed":
      return path === null ? `changed: ${names}` : names;
  }
}

function shareOf({ documents, sampled, change }: Change): string {
  if (documents === null || sampled === null) return "";
  const was = change === "removed" || change === "type-removed" ? "was " : "";
  return ` (${was}in ${documents.toLocaleString("en-US")} of ${countOf(sampled, "document")})`;
}
