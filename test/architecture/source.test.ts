/** What the linter cannot see: forbidden ways to reach the server, switched-off checks, and layers without a rule. */

import { expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import { isIn, LAYERS } from "../../scripts/lint/layers.ts";

const ROOT = join(import.meta.dirname, "../..");

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `${folder}/${name}`)
    .toSorted();
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** The code of a file without its comments, which may speak of what the code must not do. Lines keep their numbers. */
function codeOf(path: string): string {
  return read(path)
    .replaceAll(/\/\*[^]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ""))
    .replaceAll(/(^|[ \t])\/\/.*$/gm, "");
}

/** `file:line: text` of every line of `text` that `pattern` matches. */
function placesOf(pattern: RegExp, files: readonly string[], textOf: (path: string) => string): string[] {
  return files.flatMap((path) =>
    textOf(path)
      .split("\n")
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

const SOURCE = filesBelow("src");
const TESTS = filesBelow("test").filter((path) => path !== "test/architecture/source.test.ts");

test("src/ opens change streams by command, never with watch()", () => {
  expect(placesOf(/\.watch\(/, SOURCE, codeOf)).toEqual([]);
});

test("src/ runs commands of the server in connect/run-command.ts alone", () => {
  const client = SOURCE.filter((path) => path !== "src/help.ts"); // `cli.command()` is of another library
  expect(placesOf(/\.command\(/, client, codeOf).map((place) => place.split(":")[0])).toEqual([
    "src/connect/run-command.ts",
  ]);
});

test("src/ compares error codes of the server with the names in connect/server-errors.ts, never with numbers", () => {
  const files = SOURCE.filter((path) => /\bserverCodeOf\b|\bServerCode\b|\bMongoServerError\b/.test(codeOf(path)));
  expect(files.length).toBeGreaterThan(4);
  const compared = /(?:\bserverCodeOf\([^)]*\)|\bcode) [!=]== (?!ServerCode\.|undefined\b|"|0\b)/;
  expect(placesOf(compared, files, codeOf)).toEqual([]);
  const collected = /\bnew (?:Set|Map)(?:<[^(]*>)?\(\[+ *\d|^ *\d+, *$/;
  expect(placesOf(collected, files, codeOf)).toEqual([]);
});

test("what reads from the server gives the event loop its turns in lib/async.ts", () => {
  const readers = SOURCE.filter((path) => /^src\/(connect|source|workers|pipeline|run)\//.test(path));
  expect(placesOf(/\bsetImmediate\b/, readers, codeOf)).toEqual([]);
});

test("src/ turns bytes into JSON itself, never with EJSON or JSON.stringify of a document", () => {
  expect(placesOf(/\bEJSON\b/, SOURCE, codeOf)).toEqual([]);
});

test("src/ overwrites no method of an object, but those of the driver that it patches", () => {
  const overwritten = /\.#?\w+ = (async )?(function\b|(\([^()]*\)|\w+)(: [^=]+)? =>)/;
  const files = SOURCE.filter((path) => path !== "src/connect/driver-patches.ts");
  expect(placesOf(overwritten, files, codeOf)).toEqual([]);
});

test("src/ switches no check of the compiler off", () => {
  expect(placesOf(/@ts-(ignore|nocheck|expect-error)/, SOURCE, read)).toEqual([]);
});

test("src/ switches a check of the linter off for one line at most, and says why", () => {
  const disables = placesOf(/(ox|es)lint-(disable|enable)/, SOURCE, read);
  expect(disables.filter((place) => !/oxlint-disable-next-line [\w/-]+ -- \S/.test(place))).toEqual([]);
});

test("every file of src/ belongs to a layer", () => {
  expect(SOURCE.filter((path) => layerOf(path) === undefined)).toEqual([]);
});

test("every layer has files", () => {
  const names = LAYERS.flatMap(({ files }) => files);
  expect(names.filter((entry) => !SOURCE.some((path) => isIn(path.slice(4), [entry])))).toEqual([]);
});

function layerOf(path: string): (typeof LAYERS)[number] | undefined {
  return LAYERS.findLast(({ files }) => isIn(path.slice("src/".length), files));
}

// The linter's `allowTypeImports` does not combine with a list of allowed imports, so this half is held here.
test("a layer that may import only types of another one imports no value from it", () => {
  const values = SOURCE.flatMap((path) => {
    const types = layerOf(path)?.types ?? [];
    const imports = codeOf(path).matchAll(
      /^(?:import|export)\s+(?!type\b)[^;]*?\sfrom "([^"]+)"|\bimport\("([^"]+)"\)/gm,
    );
    return [...imports]
      .map(([, fixed, lazy]) => posix.join(posix.dirname(path), fixed ?? lazy ?? ""))
      .filter((target) => isIn(target.slice("src/".length), types))
      .map((target) => `${path}: ${target}`);
  });
  expect(values).toEqual([]);
});

test("no test is left out", () => {
  expect(placesOf(/\b(test|describe)\.(only|todo|skip)\b/, TESTS, codeOf)).toEqual([]);
});

/** Files whose random values decide nothing in a test, and why they are not seeded. */
const UNSEEDED = new Set([
  "scripts/lib/random.ts", // picks the seed
  "npm/mongod/ports.ts", // processes that start together must not try the same ports
  "npm/mongod/servers.ts", // a secret
  "test/support/replica-set.ts", // names of databases on a server that two runs may share
]);

test("every random choice of tests and scripts comes from the seed of the run", () => {
  const files = [...TESTS, ...filesBelow("scripts"), ...filesBelow("npm")].filter((path) => !UNSEEDED.has(path));
  expect(placesOf(/\bMath\.random\b|\brandom(Int|Bytes|UUID|Fill)|\bgetRandomValues\b/, files, codeOf)).toEqual([]);
});
