import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const SCRIPTS = join(import.meta.dirname, "../../scripts");

test("scripts/README.md has a row for each script and each folder, and for nothing else", () => {
  const rows = readFileSync(join(SCRIPTS, "README.md"), "utf8").matchAll(/^\| `([^`]+)`/gm);
  const entries = readdirSync(SCRIPTS, { withFileTypes: true })
    .filter(({ name }) => name !== "README.md")
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
  expect([...rows].map(([, name]) => name ?? "").toSorted()).toEqual(entries.toSorted());
});
