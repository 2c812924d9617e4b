import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { goTool } from "../../scripts/lib/go-tool.ts";

const FOLDER = resolve(import.meta.dirname, "../../.github/workflows");
const FILES = readdirSync(FOLDER).map((name) => join(FOLDER, name));

test("actionlint finds nothing in the workflows", () => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([goTool("actionlint"), "-no-color", "-oneline", ...FILES]);
  expect({ exitCode, stdout: stdout.toString(), stderr: stderr.toString() }).toEqual({
    exitCode: 0,
    stdout: "",
    stderr: "",
  });
}, 300_000);

test("the workflows use actions of GitHub only", () => {
  const used = FILES.flatMap((path) =>
    [...readFileSync(path, "utf8").matchAll(/uses: (\S+)/g)].map(([, action]) => action ?? ""),
  );
  expect(used.length).toBeGreaterThan(5);
  expect(used.filter((action) => !/^(actions\/[\w-]+@v\d+|\.\/\.github\/workflows\/test\.yml)$/.test(action))).toEqual(
    [],
  );
});

test("the servers are those from the oldest supported to the newest", () => {
  const { jobs } = parse(readFileSync(join(FOLDER, "test.yml"), "utf8")) as {
    jobs: { servers: { strategy: { matrix: { mongodb: string[] } } } };
  };
  const majors = jobs.servers.strategy.matrix.mongodb.map((version) => Number.parseInt(version, 10));
  expect([...new Set(majors)]).toEqual([5, 6, 7, 8]);
});
