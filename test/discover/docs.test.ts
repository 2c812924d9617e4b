/** docs/discover.md describes the output of discover. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli.ts";
import { asJson } from "../../src/discover/as-json.ts";
import { catalogOf, entryOf } from "./catalogs.ts";

const TEXT = readFileSync(join(import.meta.dirname, "../../docs/discover.md"), "utf8");

/** The code in the first column of the table below `header`. */
function firstCells(header: string): string[] {
  const [, table = ""] = TEXT.split(`\n| ${header} |`, 2);
  const rows = table.split("\n\n", 1)[0]?.split("\n").slice(2) ?? [];
  return rows.flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code));
}

test("it names every format of --as, in order", () => {
  expect(firstCells("`--as` | for")).toEqual([...(COMMANDS["discover"]?.forms ?? [])]);
});

test("it names every key of the JSON, in order", () => {
  const documents = [{ a: "x", by: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`2024-01-01x${i}`, 1])) }];
  const catalog = catalogOf([entryOf(documents, { examples: "shown" })]);
  const printed = JSON.parse(asJson(catalog)) as { collections: { fields: object[] }[] };
  const [collection] = printed.collections;
  expect(firstCells("key of a collection |")).toEqual(Object.keys(collection ?? {}));
  const keys = new Set(collection?.fields.flatMap((field) => Object.keys(field)));
  expect(new Set(firstCells("key of a field |"))).toEqual(keys.add("cut"));
  for (const key of Object.keys(printed)) expect(TEXT).toContain(`"${key}": `);
});
