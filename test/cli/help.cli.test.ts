import { describe, expect, test } from "bun:test";
import packageJson from "../../package.json" with { type: "json" };
import { COMMANDS, PLATFORMS } from "../../src/cli.ts";
import type { CommandRow } from "../../src/commands/command.ts";
import { envNameOf, OPTIONS } from "../../src/config/options.ts";
import { run } from "../support/cli.ts";
import { commandUnderTest } from "../support/command.ts";

const ROWS: Readonly<Record<string, CommandRow>> = COMMANDS;
const NAMES = Object.keys(ROWS);

/** Which of the three ways to run the program is under test. */
const RUNS = commandUnderTest().args.includes("run") ? "deno" : commandUnderTest().args.length > 0 ? "bun" : "binary";
const BUILDS = {
  bun: /^from source, [a-z0-9]+-[a-z0-9]+, Bun \d+\.\d+\.\d+$/,
  deno: /^from source, [a-z0-9]+-[a-z0-9]+, Deno \d+\.\d+\.\d+$/,
  binary: /^([0-9a-f]{7}(-dirty)?|unknown commit), (linux|macos|windows)-(x64|arm64)(-musl)?, Bun \d+\.\d+\.\d+$/,
};

test("--version prints name, version and, of a binary, commit and target; of sources, that it is them; and the runtime", async () => {
  for (const args of [["--version"], ["-v"], ["tail", "--version"]]) {
    const { code, stdout, stderr } = await run(args);
    const [, version, build] = /^mongotap (\S+) \((.+)\)\n$/.exec(stdout) ?? [];
    expect({ code, version, stderr }).toEqual({ code: 0, version: packageJson.version, stderr: "" });
    expect(build).toMatch(BUILDS[RUNS]);
  }
});

test("--licenses prints the notices of a binary, and says of sources that they have none", async () => {
  const { code, stdout, stderr } = await run(["--licenses"]);
  if (RUNS === "binary") {
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^ {2}mongodb \d+\.\d+\.\d+ +Apache-2\.0/m);
  } else {
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("this runs from source");
  }
});

test.each(["bash", "zsh", "fish"])("completion %s prints a script, whatever the environment says", async (shell) => {
  const { code, stdout, stderr } = await run(["completion", shell], { env: { MONGOTAP_CONFIG: "/no/such/file" } });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("backfill");
});

test("--help names every command with what it does and how to begin", async () => {
  const { code, stdout, stderr } = await run(["--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const [name, { text, examples }] of Object.entries({ ...COMMANDS, ...PLATFORMS })) {
    expect(stdout).toMatch(new RegExp(`^  ${name} .*${text.slice(0, 20)}`, "m"));
    expect(stdout).toContain(examples[0] ?? "");
  }
});

test("without arguments the help comes, and exit code 2", async () => {
  const [bare, asked] = await Promise.all([run([]), run(["--help"])]);
  expect(bare.code).toBe(2);
  expect(bare.stdout).toBe(asked.stdout);
});

describe("the help of a command", () => {
  test.each(NAMES)("%s names each of its options, its variable, its default, and examples", async (name) => {
    const { code, stdout, stderr } = await run([name, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const row = ROWS[name];
    for (const option of row?.options ?? []) {
      const { flag, ...rest } = OPTIONS[option];
      if ("flagless" in rest) {
        expect(stdout).toContain(`  ${envNameOf(OPTIONS[option])} `);
        expect(stdout).not.toContain(`--${flag} ${rest.value}`);
        continue;
      }
      const shown = "value" in rest ? `--${flag} ${rest.value}` : `--${flag}`;
      expect(stdout).toContain(`  ${shown} `);
      expect(stdout).toContain(`[${envNameOf(OPTIONS[option])}]`);
      if ("fallback" in rest) expect(stdout.replaceAll(/\s+/g, " ")).toContain(`(default: ${rest.fallback})`);
    }
    for (const example of row?.examples ?? []) expect(stdout).toContain(`  ${example}\n`);
  });

  test("comes in three ways, and not for options it does not have", async () => {
    const [long, short, topic] = await Promise.all([
      run(["discover", "--help"]),
      run(["discover", "-h"]),
      run(["help", "discover"]),
    ]);
    expect(short.stdout).toBe(long.stdout);
    expect(topic.stdout).toBe(long.stdout);
    expect(long.stdout).not.toContain("--state");
  });

  test("is printed also where a run would fail: --help wins", async () => {
    const { code, stdout } = await run(["tail", "--help", "--limit", "none"]);
    expect(code).toBe(0);
    expect(stdout).toContain("mongotap tail");
  });
});

const REFUSED: readonly (readonly [says: string, ...args: string[]])[] = [
  ["Did you mean backfill?", "backfil"],
  ["Did you mean --envelope?", "tail", "a.b", "--envelop=raw"],
  ["--limit takes a whole number of at least 1", "backfill", "a.b", "--limit", "0"],
  ["MONGOTAP_UNTIL takes one of caught-up", "tail", "a.b"],
  ["the database admin belongs to the server", "backfill", "admin.system.users"],
];

describe("a command line that cannot be right ends with 2 and one line on stderr (more of them: command-line.test.ts)", () => {
  test.each(REFUSED)("%s", async (says, ...args) => {
    const env = {
      MONGOTAP_URI: "mongodb://127.0.0.1:1/",
      ...(says.startsWith("MONGOTAP_UNTIL") ? { MONGOTAP_UNTIL: "x" } : {}),
    };
    const { code, stdout, stderr } = await run(args, { env });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
    expect(stderr).toMatch(/^mongotap: .+\n( {2}.+\n)?$/);
  });
});

test("--log-format json prints a failure as one JSON object, with its kind and exit code", async () => {
  const { code, stderr } = await run(["tail", "a.b", "--log-format", "json", "--log-level", "error"], {
    env: { MONGOTAP_URI: "postgres://localhost" },
  });
  expect(code).toBe(2);
  expect(JSON.parse(stderr)).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    level: "error",
    message: expect.stringContaining("it does not begin with mongodb://"),
    kind: "config",
    exit: 2,
    hint: expect.stringContaining("Example: mongodb://"),
  });
});

describe("connectors", () => {
  test.each(["--help", "-h", "read --help"])("airbyte %s: its commands and options", async (args) => {
    const { code, stdout, stderr } = await run(["airbyte", ...args.split(" ")]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const word of ["spec", "check", "discover", "read", "--config FILE", "--catalog FILE", "--state FILE"])
      expect(stdout).toMatch(new RegExp(`^  ${word} `, "m"));
  });

  test.each(Object.keys(PLATFORMS))("%s has no empty section, and no gap in its usage", async (name) => {
    const { stdout } = await run([name, "--help"]);
    expect(stdout).toMatch(new RegExp(`^  mongotap ${name}\\b`, "m"));
    expect(stdout).not.toMatch(/:\n\n|mongotap \S+ {2}/);
  });
});
