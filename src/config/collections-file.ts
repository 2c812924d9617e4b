/** `--collections-file`: CSV without a header, one namespace on each row, as `db.collection`, `db,collection` or `db`. */

import { parse } from "csv-parse/sync";

import type { Named } from "./bindings.ts";
import { readConfigFile } from "./config-file.ts";
import type { ConfigProblems } from "./faults.ts";
import { validateNamespace } from "./values.ts";

interface Row {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

/**
 * The namespaces of the file at `path`, each once; every wrong row is a fault of its own. `from` is who named the file.
 * @throws MongotapError `config` when the file cannot be read
 */
export async function readCollectionsFile(path: string, from: string, faults: ConfigProblems): Promise<Named[]> {
  const { text } = await readConfigFile(path, `${from} ${path}`);
  const found = new Map<string, Named>();
  for (const { record, info } of rowsOf(text, (line, reason) => faults.add(`${path}:${line}:`, reason))) {
    const at = `${path}:${info.lines}:`;
    const fields = record.map((field) => field.trim());
    if (fields.every((field) => field === "")) continue;
    const [db = "", collection] = fields;
    const namespace = collection === undefined ? db : `${db}.${collection}`;
    const objection = objectionToRow(fields) ?? validateNamespace(namespace);
    if (objection !== undefined) faults.add(at, objection);
    else if (!found.has(namespace)) found.set(namespace, { text: namespace, from: at });
  }
  if (found.size === 0) faults.add(`${from} ${path}`, "names no collection");
  return [...found.values()];
}

function objectionToRow(fields: readonly string[]): string | undefined {
  if (fields.length > 2) return `has ${fields.length} columns: write db.collection, db,collection or db`;
  const [db = "", collection] = fields;
  if (collection === undefined) return undefined;
  if (db === "" || collection === "") return "has an empty column: write db.collection, db,collection or db";
  return db.includes(".") ? `has two columns, and the database ${JSON.stringify(db)} holds a dot` : undefined;
}

function rowsOf(text: string, fault: (line: number, reason: string) => void): readonly Row[] {
  return parse(text, {
    info: true,
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_skip(error) {
      if (error !== undefined)
        fault(
          typeof error["lines"] === "number" ? error["lines"] : 0,
          "a quote is not closed, or stands in the middle of a field",
        );
      return undefined;
    },
  }) as unknown as readonly Row[];
}
