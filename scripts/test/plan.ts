/** Finds test files and groups them into runs by their kind. */

import { readdirSync } from "node:fs";

type TestKind = "unit" | "mongod" | "fault" | "cli" | "platform" | "npm" | "release";

/** One process of `bun test`. */
export interface TestRun {
  readonly name: string;
  readonly files: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** After this the process is killed: a loop that never yields is out of reach of a test's own time limit. */
  readonly limitMinutes: number;
  /** What it needs: the built program, the npm packages, a mongod (`any`, or of this version). */
  readonly needs: { readonly binary?: true; readonly packages?: true; readonly mongod?: string };
}

/** The servers that the product is tested with. */
const SERVER_VERSIONS = ["5.0.32", "6.0.5", "6.0.27"] as const;

/**
 * What differs between a binary and its source under the same Bun: how files and threads are found, what is loaded, the
 * streams of the process. The fault tests run the source as well.
 */
const STARTED_SO = /\/(?:exit-codes|golden|help|signals|stdio|tunnel|workers|write-behind)\.cli\.test\.ts$/;

/** The three ways to run the program, each with the black-box tests that it is for. */
const PROGRAMS: readonly { readonly name: string; readonly command: string; readonly only?: RegExp }[] = [
  { name: "bun", command: "bun src/main.ts", only: STARTED_SO },
  { name: "deno", command: "deno run -A src/main.ts" },
  { name: "binary", command: "dist/mongotap" },
];

/** The kind of a test file, by its suffix; undefined for other files. */
function kindOf(path: string): TestKind | undefined {
  if (!path.endsWith(".test.ts")) return undefined;
  const kind = /\.(mongod|fault|cli|platform|npm|release)\.test\.ts$/.exec(path)?.[1];
  return kind === undefined ? "unit" : (kind as TestKind);
}

/** The test files in `root`/test whose path contains one of `patterns` (all if there are none), sorted. */
export function findTests(root: string, patterns: readonly string[]): string[] {
  return readdirSync(`${root}/test`, { recursive: true, encoding: "utf8" })
    .map((name) => `test/${name.replaceAll("\\", "/")}`)
    .filter((path) => kindOf(path) !== undefined)
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)))
    .toSorted();
}

/** All runs, quick ones first; the black-box suite for each of PROGRAMS, or once with `program`. */
export function planAll(files: readonly string[], program: string | undefined): TestRun[] {
  const of = (kind: TestKind): string[] => files.filter((file) => kindOf(file) === kind);
  const cli = of("cli");
  const blackBox: TestRun[] =
    program === undefined
      ? PROGRAMS.map(({ name, command, only }) => ({
          name: `black box, ${name}`,
          files: cli.filter((file) => only?.test(file) !== false),
          env: { MONGOTAP: command },
          limitMinutes: 20,
          needs: name === "binary" ? { binary: true, mongod: "any" } : { mongod: "any" },
        }))
      : [
          {
            name: `black box, ${program}`,
            files: cli,
            env: { MONGOTAP: program },
            limitMinutes: 20,
            needs: { mongod: "any" },
          },
        ];
  const runs: TestRun[] = [
    { name: "unit", files: of("unit"), env: {}, limitMinutes: 10, needs: {} },
    { name: "replica set", files: of("mongod"), env: {}, limitMinutes: 20, needs: { mongod: "any" } },
    ...blackBox,
    {
      name: "platforms",
      files: of("platform"),
      env: { MONGOTAP: program ?? "dist/mongotap" },
      limitMinutes: 20,
      needs: program === undefined ? { binary: true, mongod: "any" } : { mongod: "any" },
    },
    {
      name: "npm packages",
      files: of("npm"),
      env: {},
      limitMinutes: 10,
      needs: { binary: true, packages: true, mongod: "any" },
    },
    { name: "release", files: of("release"), env: {}, limitMinutes: 10, needs: { binary: true, mongod: "any" } },
    { name: "fault", files: of("fault"), env: {}, limitMinutes: 30, needs: { mongod: "any" } },
  ];
  return runs.filter((run) => run.files.length > 0);
}

/** The tests that need no server and no built program. */
export function planUnit(files: readonly string[]): TestRun[] {
  return planAll(files, undefined).filter((run) => run.name === "unit");
}

/** The tests that talk to a server, once for each version of it. */
export function planVersions(files: readonly string[]): TestRun[] {
  const server = files.filter((file) => kindOf(file) === "mongod" || kindOf(file) === "fault");
  if (server.length === 0) return [];
  return SERVER_VERSIONS.map((version) => ({
    name: `mongod ${version}`,
    files: server,
    env: { MONGOTAP_MONGOD_VERSION: version },
    limitMinutes: 25,
    needs: { mongod: version },
  }));
}
