/** `--as table`: the catalog as tables for people. */

import { countOf, sizeOf, tableOf } from "../observe/stats.ts";
import { nameOf } from "../source/record.ts";
import { type Catalog, type CatalogEntry, sampleText } from "./catalog.ts";
import { type FieldRow, fieldRowsOf, printable } from "./field-rows.ts";

/** The list of collections, then the fields of each sampled one. */
export function asTable({ entries }: Catalog): string {
  const fields = entries.filter(({ sampled, failure }) => sampled !== undefined || failure !== null);
  return [`${listOf(entries)}\n${countOf(entries.length, "collection")}\n`, ...fields.map(fieldsOf)].join("\n");
}

function listOf(entries: readonly CatalogEntry[]): string {
  const rows = entries.map((entry) => {
    const { info, documents, bytes, noStream } = entry;
    return [
      printable(nameOf(info.namespace)),
      info.type,
      documents === null ? "-" : documents.toLocaleString("en-US"),
      bytes === null ? "-" : sizeOf(bytes),
      noStream === null ? "yes" : "no",
      notesOf(entry).join(", "),
    ];
  });
  return tableOf(["NAMESPACE", "TYPE", "DOCUMENTS", "SIZE", "STREAM", "NOTES"], rows, [2, 3]);
}

/** The unusual properties of a collection, for its NOTES. */
export function notesOf({ info, options, noStream }: CatalogEntry): string[] {
  return [
    noStream ?? "",
    info.capped ? "capped" : "",
    info.clustered && info.type === "collection" ? "clustered" : "",
    info.images ? "images" : "",
    options["validator"] === undefined ? "" : "validator",
  ].filter((note) => note !== "");
}

function fieldsOf(entry: CatalogEntry): string {
  const title = `${printable(nameOf(entry.info.namespace))}: ${printable(sampleText(entry))}`;
  if (entry.sampled === undefined) return `${title}\n`;
  const rows = fieldRowsOf(entry.sampled.structure);
  if (rows.length === 0) return `${title}\n`;
  const withExamples = rows.some(({ examples }) => examples.length > 0);
  const header = ["FIELD", "IN", "TYPES", ...(withExamples ? ["EXAMPLES"] : [])];
  return `${title}\n${tableOf(header, rows.map(cellsOf), [1])}\n`;
}

function cellsOf(row: FieldRow): string[] {
  const { path, presence, types, examples } = row;
  const typesText = types
    .map(({ type, share }) => (types.length === 1 ? type : `${type} ${percentOf(share)}`))
    .join(", ");
  const notes = rowNotes(row);
  return [
    path,
    presence === null ? "" : percentOf(presence),
    notes === "" ? typesText : `${typesText} (${notes})`,
    examples.map(printable).join(" · "),
  ];
}

/** The notes on a row: the number of dynamic keys, and whether it is incomplete; empty if there is nothing to note. */
export function rowNotes({ keys, isTruncated }: FieldRow): string {
  const many = keys === undefined ? "" : `${keys.more ? "more than " : ""}${countOf(keys.count, "different key")}`;
  return [many, isTruncated ? "not told in full" : ""].filter((note) => note !== "").join(", ");
}

/** A share in percent. Only 1 is `100 %` and only 0 is `0 %`; near them it is `>99 %` and `<1 %`. */
export function percentOf(share: number): string {
  if (share === 0 || share === 1) return `${share * 100} %`;
  if (share < 0.01) return "<1 %";
  return share > 0.99 ? ">99 %" : `${Math.round(share * 100)} %`;
}
