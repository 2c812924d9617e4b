/** The documentation says what the program does: its tables are made from the code, its commands and links exist. */

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { blockIn, GENERATED, refresh, ROOT } from "../scripts/docs/blocks.ts";
import { readBlock } from "../scripts/docs/examples.ts";
import { COMMANDS, PLATFORMS } from "../src/cli.ts";
import type { CommandRow, PlatformRow } from "../src/commands/command.ts";
import { SHELLS } from "../src/commands/completion.ts";
import { envNameOf, OPTIONS } from "../src/config/options.ts";
import type { OptionRow } from "../src/config/setting.ts";
import { POLICY } from "../src/errors.ts";
import { ENVELOPES } from "../src/protocol/envelopes.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

const DOCUMENTS = [
  "README.md",
  "CONTRIBUTING.md",
  "npm/README.md",
  "wasm/README.md",
  ...readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name.replaceAll("\\", "/")}`),
];

/** `file: text` for every match of `pattern` in the documents: its first group, or all of it. */
function found(pattern: RegExp, documents = DOCUMENTS): [document: string, text: string][] {
  return documents.flatMap((path) =>
    [...read(path).matchAll(pattern)].map(([all, first]): [string, string] => [path, first ?? all]),
  );
}

for (const path of Object.keys(GENERATED)) {
  test(`the made parts of ${path} are up to date (bun scripts/docs.ts --write)`, () => {
    expect(refresh(path, read(path))).toBe(read(path));
  });
}

test("README names every command, flag, variable and exit code", () => {
  const readme = read("README.md");
  const rows = Object.entries<OptionRow>(OPTIONS).filter(([name]) =>
    Object.values(COMMANDS).some(({ options }) => options.some((option) => option === name)),
  );
  const names = [
    ...Object.keys({ ...COMMANDS, ...PLATFORMS }).map((name) => `\n| \`${name}`),
    ...rows.filter(([, row]) => row.flagless !== true).map(([, row]) => `\n| \`--${row.flag}`),
    ...rows.map(([, row]) => `| \`${envNameOf(row)}\` |`),
    ...Object.values(POLICY).map(({ exit }) => `\n| ${exit} |`),
    "\n| 0 |",
    "\n| 128+n |",
  ];
  expect(names.filter((name) => !readme.includes(name))).toEqual([]);
});

test("every command line in the documentation has a command and flags that exist", () => {
  const wrong = found(
    /^[^|`\n]*?\bmongotap ([a-z].*)$/gm,
    DOCUMENTS.filter((path) => read(path).includes("```sh")),
  )
    .filter(([path, line]) => inShellBlock(read(path), line))
    .filter(([, line]) => !isKnown(line));
  expect(wrong).toEqual([]);
});

const ROWS: Readonly<Record<string, CommandRow>> = COMMANDS;
const PLATFORM_ROWS: Readonly<Record<string, PlatformRow>> = PLATFORMS;

/** Whether a line stands in a block of shell commands. */
function inShellBlock(text: string, line: string): boolean {
  return [...text.matchAll(/^```sh\n([^]*?)^```/gm)].some(([, block = ""]) => block.includes(line));
}

function isKnown(line: string): boolean {
  const [command = "", ...words] = line.split(/ [|>#] ?/, 1)[0]?.split(" ") ?? [];
  if (command === "completion") return SHELLS.some((shell) => words[0]?.startsWith(shell));
  const row = ROWS[command];
  const platform = PLATFORM_ROWS[command];
  if (!row && !platform) return false;
  const flags = words.filter((word) => word.startsWith("--")).map((word) => word.slice(2).split("=", 1)[0]);
  const known = row
    ? row.options.map((name): string => OPTIONS[name].flag)
    : (platform?.flags ?? []).map(([flag]) => flag.slice(2).split(/[ =]/, 1)[0]);
  return flags.every((flag) => known.includes(flag));
}

test("every flag in the prose of README exists", () => {
  const known = new Set(Object.values<OptionRow>(OPTIONS).map(({ flag }) => `--${flag}`));
  const others = new Set(["--write", "--help", "--version", "--test", "--licenses"]);
  const flags = found(/(?<![\w-])(--[a-z][a-z-]+)/g, ["README.md"]).map(([, flag]) => flag);
  expect(flags.filter((flag) => !known.has(flag) && !others.has(flag))).toEqual([]);
});

test("every link to a file leads to one", () => {
  const links = found(/\]\((?!https?:|#)([^)#\s]+)/g);
  expect(links.filter(([path, link]) => !existsSync(join(ROOT, dirname(path), link)))).toEqual([]);
});

test("every path in the documentation that begins at the root exists", () => {
  const paths = found(/`((?:src|test|scripts|docs|wasm|\.ci)\/[\w./-]*)`/g);
  expect(paths.filter(([, path]) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test("every npm script that the documentation names exists", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const names = found(/\bnpm run ([a-z:]+)/g).filter(([, name]) => scripts[name] === undefined);
  expect(names).toEqual([]);
});

test("every decision that the code names exists", () => {
  const files = ["src", "scripts", "test", "wasm", "npm"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`),
  );
  const named = found(/\bdecisions\/(\d{3}[\w-]*(?:\.md)?)/g, files);
  expect(named.filter(([, name]) => !existsSync(join(ROOT, "docs/decisions", name)))).toEqual([]);
  expect(named.length).toBeGreaterThan(10);
});

test("docs/architecture.md says what each folder of src/ is for", () => {
  const text = read("docs/architecture.md");
  const folders = readdirSync(join(ROOT, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => `\`${name}/\``).filter((name) => !text.includes(name))).toEqual([]);
});

/** More than half a page is two decisions. */
const LINES_OF_A_DECISION = 28;

/** `number title date status` of a decision as its own file says it; a file of another form has none. */
function headOf(path: string): string {
  const [, ...parts] =
    /^# (\d{3}): (.+)\n\n(\d{4}-\d\d-\d\d) · (accepted|superseded by \d{3})\n\n/.exec(read(path)) ?? [];
  return parts.join(" | ");
}

const DECISIONS = DOCUMENTS.filter((path) => /^docs\/decisions\/(?!README)/.test(path)).toSorted();

test("a decision has a number, a title, a date, a status and four parts (and what was not chosen), on half a page", () => {
  const partsOf = (path: string): unknown[] => [...read(path).matchAll(/^\*\*(\w+)/gm)].map(([, part]) => part);
  const parts = DECISIONS.map((path) => [path, new Set(partsOf(path).filter((part) => part !== "Not"))]);
  expect(parts).toEqual(DECISIONS.map((path) => [path, new Set(["Choice", "Context", "Cost", "Measured"])]));
  expect(DECISIONS.filter((path) => read(path).split("\n").length > LINES_OF_A_DECISION)).toEqual([]);
  expect(DECISIONS.filter((path) => !path.startsWith(`docs/decisions/${headOf(path).slice(0, 3)}-`))).toEqual([]);
  expect(new Set(DECISIONS.map((path) => headOf(path).slice(0, 3))).size).toBe(DECISIONS.length);
});

test("the index of the decisions lists each of them as its own file does", () => {
  const rows = [...read("docs/decisions/README.md").matchAll(/^\| (\d{3}) \| \[(.+)\]\((.+)\) \| (.+) \| (.+) \|$/gm)];
  const listed = rows.map(([, number, title, file, date, status]) => [
    `docs/decisions/${file}`,
    [number, title, date, status].join(" | "),
  ]);
  expect(listed).toEqual(DECISIONS.map((path) => [path, headOf(path)]));
});

test("docs/envelopes.md has a block for each envelope", () => {
  expect(ENVELOPES.filter((name) => readBlock(blockIn("docs/envelopes.md", name)).length < 4)).toEqual([]);
});
