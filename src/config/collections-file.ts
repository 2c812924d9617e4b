/** `--collections-file`: CSV without a header, one namespace on each row, as `db.collection`, `db,collection` or `db`. */

import { parse } from "csv-parse/sync";

import { readConfigFile } from "./files.ts";
import type { ConfigProblems } from "./problems.ts";
import { validateNamespace } from "./value-schemas.ts";

interface Row {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

/**
 * The namespaces of the file at `path`, each once. Each invalid row is a problem. `from` is the flag, variable or key that
 * names the file.
 * @throws MongotapError `config` when the file cannot be read
 */
export async function readCollectionsFile(path: string, from: string, problems: ConfigProblems): Promise<string[]> {
  const { text } = await readConfigFile(path, `${from} ${path}`);
  const found = new Set<string>();
  for (const { record, info } of rowsOf(text, (line, reason) => problems.add(`${path}:${line}:`, reason))) {
    const at = `${path}:${info.lines}:`;
    const fields = record.map((field) => field.trim());
    if (fields.every((field) => field === "")) continue;
    const [db = "", collection] = fields;
    const namespace = collection === undefined ? db : `${db}.${collection}`;
    const reason = validateRow(fields) ?? validateNamespace(namespace);
    if (reason === undefined) found.add(namespace);
    else problems.add(at, reason);
  }
  if (found.size === 0) problems.add(`${from} ${path}`, "names no collection");
  return [...found];
}

/** Why the fields are no row of such a file; undefined if they are. */
function validateRow(fields: readonly string[]): string | undefined {
  if (fields.length > 2) return `has ${fields.length} columns: write db.collection, db,collection or db`;
  const [db = "", collection] = fields;
  if (collection === undefined) return undefined;
  if (db === "" || collection === "") return "has an empty column: write db.collection, db,collection or db";
  return db.includes(".") ? `has two columns, and the database ${JSON.stringify(db)} holds a dot` : undefined;
}

/** Calls `onInvalid` for each row that is no CSV, and skips it. */
function rowsOf(text: string, onInvalid: (line: number, reason: string) => void): readonly Row[] {
  return parse(text, {
    info: true,
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_skip(error) {
      if (error !== undefined)
        onInvalid(
          typeof error["lines"] === "number" ? error["lines"] : 0,
          "a quote is not closed, or stands in the middle of a field",
        );
      return undefined;
    },
  }) as unknown as readonly Row[];
}
