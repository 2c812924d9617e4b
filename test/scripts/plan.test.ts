import { expect, test } from "bun:test";
import { planAll, planUnit, planVersions } from "../../scripts/test/plan.ts";

const FILES = [
  "test/a.test.ts",
  "test/b.mongod.test.ts",
  "test/c.fault.test.ts",
  "test/d.cli.test.ts",
  "test/cli/signals.cli.test.ts",
  "test/e.platform.test.ts",
  "test/e.npm.test.ts",
  "test/e.release.test.ts",
];

test("planAll() runs the black-box suite under Deno and as the binary, from source what depends on the start, other files once", () => {
  const runs = planAll(FILES, undefined).map((run) => [run.files.join(" "), run.env["MONGOTAP"], run.needs]);
  expect(runs).toEqual([
    ["test/a.test.ts", undefined, {}],
    ["test/b.mongod.test.ts", undefined, { mongod: "any" }],
    ["test/cli/signals.cli.test.ts", "bun src/main.ts", { mongod: "any" }],
    ["test/d.cli.test.ts test/cli/signals.cli.test.ts", "deno run -A src/main.ts", { mongod: "any" }],
    ["test/d.cli.test.ts test/cli/signals.cli.test.ts", "dist/mongotap", { binary: true, mongod: "any" }],
    ["test/e.platform.test.ts", "dist/mongotap", { binary: true, mongod: "any" }],
    ["test/e.npm.test.ts", undefined, { binary: true, packages: true, mongod: "any" }],
    ["test/e.release.test.ts", undefined, { binary: true, mongod: "any" }],
    ["test/c.fault.test.ts", undefined, { mongod: "any" }],
  ]);
});

test("planAll() runs the black-box suite once if the program is given", () => {
  const programs = planAll(FILES, "./mongotap").flatMap(({ env }) => env["MONGOTAP"] ?? []);
  expect(programs).toEqual(["./mongotap", "./mongotap"]);
});

test("planAll() leaves out runs without files", () => {
  expect(planAll(["test/b.mongod.test.ts"], undefined).map(({ name }) => name)).toEqual(["replica set"]);
});

test("planUnit() takes the files that need no server", () => {
  expect(planUnit(FILES).flatMap(({ files }) => files)).toEqual(["test/a.test.ts"]);
});

test("planVersions() runs the server tests once for each version", () => {
  expect(planVersions(FILES).map(({ env }) => Object.values(env)[0])).toEqual(["5.0.32", "6.0.5", "6.0.27"]);
  expect(planVersions(["test/a.test.ts"])).toEqual([]);
});
