/** Tables of the options of `mongotap/testing`, from the comments of their interfaces. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A comment of one sentence or more that ends with `Default: …`, and the optional property below it. */
const PROPERTY = /\/\*\* ([^]*?) Default: ([^]*?) \*\/\n {2}readonly (\w+)\?: ([^;]+);/g;

/** A row for each property of `name` in `file`. Throws where a property has no comment, or one of another form. */
export function interfaceTable(root: string, file: string, name: string): string {
  const text = readFileSync(join(root, file), "utf8");
  const [, body = ""] = new RegExp(`^export interface ${name} \\{\n([^]*?)^\\}`, "m").exec(text) ?? [];
  const rows = [...body.matchAll(PROPERTY)].map(([, meaning = "", standard = "", property = "", type = ""]) => {
    const cells = [`\`${property}\``, `\`${type}\``, standard, meaning.replaceAll(/\s*\n\s*\* /g, " ")];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  const properties = body.match(/^ {2}readonly /gm)?.length ?? 0;
  if (rows.length === 0 || rows.length !== properties)
    throw new Error(`${file}: ${name} has a property without "Default:"`);
  return ["| option | type | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}
