import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SEED_VARIABLE } from "../../scripts/lib/random.ts";
import { tempDir } from "../support/temp.ts";

const RUNNER = join(import.meta.dirname, "../../scripts/test.ts");

/** Runs scripts/test.ts on one unit test file with this body. */
async function runOn(body: string): Promise<{ readonly status: number | null; readonly lines: readonly string[] }> {
  await using root = await tempDir();
  await mkdir(root.join("test"));
  await writeFile(
    root.join("test/planted.test.ts"),
    `import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
const ranBefore = existsSync(${JSON.stringify(root.join("ran"))});
writeFileSync(${JSON.stringify(root.join("ran"))}, "");
test("steady", () => {});
test("planted", () => { ${body} });
`,
  );
  const { status, stdout } = spawnSync(process.execPath, [RUNNER, "--unit", "--root", root.path], { encoding: "utf8" });
  return { status, lines: stdout.trimEnd().split("\n") };
}

test("scripts/test.ts counts a flaky test as failed, and names its file", async () => {
  const { status, lines } = await runOn("expect(ranBefore).toBe(true)");
  expect(status).toBe(1);
  expect(lines).toContain("── unit: flaky: failed beside others, passed alone: test/planted.test.ts");
  expect(lines.at(-1)).toBe("1 passed, 1 failed");
});

test("scripts/test.ts does not call a test flaky that fails twice", async () => {
  const { status, lines } = await runOn("expect(1).toBe(2)");
  expect(status).toBe(1);
  expect(lines.join("\n")).not.toContain("flaky");
  expect(lines.at(-1)).toBe("1 passed, 1 failed");
});

test("scripts/test.ts exits with 0 if every test passed", async () => {
  const { status, lines } = await runOn("");
  expect(status).toBe(0);
  expect(lines.at(-1)).toBe("2 passed, 0 failed");
});

test("scripts/test.ts prints in its first line the seed that its tests get", async () => {
  const { status, lines } = await runOn(`console.log("seed of the test:", process.env["${SEED_VARIABLE}"])`);
  expect(status).toBe(0);
  const seed = /^MONGOTAP_TEST_SEED=(\d+)$/.exec(lines[0] ?? "")?.[1];
  expect(lines).toContain(`seed of the test: ${seed}`);
});

test("scripts/test.ts leaves out the tests with a package that cannot be installed, and says so in its last lines", async () => {
  await using root = await tempDir();
  await mkdir(root.join("test"));
  await writeFile(root.join("test/ran.test.ts"), 'import { test } from "bun:test";\ntest("steady", () => {});\n');
  await writeFile(root.join("test/client.platform.test.ts"), 'requirePython("target-jsonl");\n');
  // Without python3 on the PATH nothing can be installed.
  const env = { ...process.env, PATH: root.path, MONGOTAP: "any", MONGOTAP_CACHE: root.join("cache") };
  const { status, stdout } = spawnSync(process.execPath, [RUNNER, "--root", root.path], { encoding: "utf8", env });
  const lines = stdout.trimEnd().split("\n");
  expect(status).toBe(0);
  expect(lines).toContain("── platforms: SKIPPED, its packages cannot be installed: test/client.platform.test.ts");
  expect(lines.at(-3)).toMatch(/^platforms +0 ok +1 SKIPPED$/);
  expect(lines.at(-2)).toStartWith("── SKIPPED: 1.");
  expect(lines.at(-1)).toBe("1 passed, 0 failed");
});
