/** `--as html`: the catalog as one page without a server, network or fonts. A bar shows the types of each field. */

import { createHash } from "node:crypto";

import { countOf, sizeOf } from "../observe/stats.ts";
import { nameOf } from "../source/record.ts";
import { notesOf, percentOf, rowNotes } from "./as-table.ts";
import { type Catalog, type CatalogEntry, sampleText } from "./catalog.ts";
import type { BsonType } from "./field.ts";
import { type FieldRow, fieldRowsOf, printable } from "./field-rows.ts";
import { SCRIPT, STYLE } from "./html-assets.ts";

/** More rows per collection make the page slow. */
const MAX_ROWS_PER_COLLECTION = 2_000;
/** With more collections, all sections are closed at first. */
const MAX_OPEN_SECTIONS = 12;

/** Types by the color of their bar; the first text is the label in the legend. */
const TYPE_KINDS = {
  id: ["ids", "objectId", "uuid"],
  text: ["text", "string", "symbol"],
  number: ["numbers", "int", "long", "double", "decimal"],
  bool: ["true or false", "bool"],
  time: ["time", "date", "timestamp"],
  nest: ["documents and arrays", "object", "array"],
  bytes: ["binary", "binData"],
  null: ["null", "null", "undefined"],
  rare: ["others", "regex", "javascript", "javascriptWithScope", "dbPointer", "minKey", "maxKey"],
} as const satisfies Record<string, readonly [label: string, ...types: BsonType[]]>;

const KIND_BY_TYPE: ReadonlyMap<BsonType, string> = new Map(
  Object.entries(TYPE_KINDS).flatMap(([kind, [, ...types]]) => types.map((type): [BsonType, string] => [type, kind])),
);

/** `server` is shown on the page: it must not contain secrets. */
export function asHtml(catalog: Catalog, server: string): string {
  const { entries, at, version } = catalog;
  const digest = createHash("sha256").update(SCRIPT).digest("base64");
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'`;
  const documents = entries.reduce((sum, entry) => sum + (entry.documents ?? 0), 0);
  const bytes = entries.reduce((sum, entry) => sum + (entry.bytes ?? 0), 0);
  const total = `${countOf(entries.length, "collection")}, ${countOf(documents, "document")}, ${sizeOf(bytes)}`;
  const title = catalog.namespaces.length === 0 ? "Catalog" : catalog.namespaces.join(", ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escaped(title)} · mongotap</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>${escaped(title)}</h1><p>${escaped(total)} · <code>${escaped(server)}</code></p>
<input type="search" placeholder="Find a field or a collection" aria-label="Find a field or a collection" hidden></header>
<div class="columns">
${navigation(entries)}
<main>
${legend()}
${entries.map((entry, i) => section(entry, i, entries.length <= MAX_OPEN_SECTIONS)).join("\n")}
</main>
</div>
<footer>Made by mongotap ${escaped(version)} on ${escaped(at.slice(0, 16).replace("T", " "))} UTC, from samples of the documents.</footer>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function navigation(entries: readonly CatalogEntry[]): string {
  let db: string | undefined;
  const items = entries.map(({ info, documents }, i) => {
    const title = info.namespace.db === db ? "" : `<h3>${escaped(info.namespace.db)}</h3>`;
    db = info.namespace.db;
    const count = documents === null ? info.type : documents.toLocaleString("en-US");
    const name = escaped(info.namespace.collection);
    return `${title}<a href="#c${i}" title="${name}"><span>${name}</span><small>${count}</small></a>`;
  });
  return `<nav aria-label="Collections">\n${items.join("\n")}\n</nav>`;
}

function legend(): string {
  const kinds = Object.entries(TYPE_KINDS).map(([kind, [label]]) => `<span><i class="k-${kind}"></i>${label}</span>`);
  return `<p class="legend">${kinds.join("")}<span><i class="k-none"></i>absent</span></p>`;
}

function section(entry: CatalogEntry, index: number, isOpen: boolean): string {
  const { info, documents, bytes, noStream, options } = entry;
  const name = escaped(nameOf(info.namespace));
  const facts = [
    info.type === "collection" ? "" : info.type,
    documents === null ? "" : countOf(documents, "document"),
    bytes === null ? "" : sizeOf(bytes),
    ...notesOf(entry).filter((note) => note !== noStream),
  ].filter((fact) => fact !== "");
  const chips = facts.map((fact) => `<span class="chip">${escaped(fact)}</span>`).join("");
  const stream = noStream === null ? "" : `<span class="chip no" title="${escaped(noStream)}">no change stream</span>`;
  const created =
    Object.keys(options).length === 0
      ? ""
      : `<details class="opt"><summary>Options</summary><pre>${escaped(JSON.stringify(options, undefined, 2), true)}</pre></details>`;
  return `<details class="c" id="c${index}" data-name="${name}"${isOpen ? " open" : ""}>
<summary><h2>${name}</h2>${chips}${stream}</summary>
<p class="note">${escaped(sampleText(entry))}</p>
${fieldTable(entry)}${created}
</details>`;
}

function fieldTable({ sampled }: CatalogEntry): string {
  const rows = sampled === undefined ? [] : fieldRowsOf(sampled.structure);
  if (rows.length === 0) return "";
  const hasExamples = rows.some(({ examples }) => examples.length > 0);
  const shown = rows.slice(0, MAX_ROWS_PER_COLLECTION).map((row) => fieldRow(row, hasExamples));
  const rest = rows.length - shown.length;
  const more = rest === 0 ? "" : `<p class="note">${countOf(rest, "more field")}: see --as json.</p>`;
  return `<div class="scroll"><table>
<thead><tr><th>Field</th><th>Types, as wide as it is present</th><th class="p">In</th><th>Types</th>${hasExamples ? "<th>Examples</th>" : ""}</tr></thead>
<tbody>
${shown.join("\n")}
</tbody></table></div>${more}`;
}

function fieldRow(row: FieldRow, hasExamples: boolean): string {
  const { path, label, depth, presence, types, examples } = row;
  const width = presence ?? 1;
  const kinds = types.map(({ type }) => KIND_BY_TYPE.get(type) ?? "rare");
  const segments = types.map(({ type, share }, i) => {
    const percent = Math.round(share * width * 10_000) / 100;
    const kind = kinds[i] ?? "rare";
    // The second type of a kind has a lighter shade.
    const shade = kinds.indexOf(kind) < i ? " more" : "";
    return `<i class="k-${kind}${shade}" style="width:${percent}%" title="${type} ${percentOf(share)}"></i>`;
  });
  const names = types.map(({ type, share }) =>
    types.length === 1 ? type : `${type} <small>${escaped(percentOf(share))}</small>`,
  );
  const notes = rowNotes(row);
  const isField = row.keys === undefined && label !== "[]";
  const cells = [
    `<td class="f"><span${isField ? "" : ' class="k"'} title="${escaped(path)}">${escaped(label)}</span></td>`,
    `<td class="b"><div class="bar">${segments.join("")}</div></td>`,
    `<td class="p${presence === 1 ? " all" : ""}">${presence === null ? "" : escaped(percentOf(presence))}</td>`,
    `<td class="t">${names.join(", ")}${notes === "" ? "" : ` <small>${escaped(notes)}</small>`}</td>`,
    hasExamples ? `<td class="x">${examples.map((text) => `<q>${escaped(text)}</q>`).join("")}</td>` : "",
  ];
  return `<tr data-path="${escaped(path)}" style="--d:${depth}">${cells.join("")}</tr>`;
}

/** `text` escaped for content and attribute values, with control characters made visible; `hasLines` keeps line breaks. */
function escaped(text: string, hasLines = false): string {
  const lines = hasLines ? text.split("\n").map(printable).join("\n") : printable(text);
  return lines
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
