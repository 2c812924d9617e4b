import { beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { commandUnderTest } from "../support/command.ts";
import { documents } from "../support/documents.ts";
import { testDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { textLinesOf } from "./tap.ts";

let uri: string;
let orders: string;

beforeAll(async () => {
  const database = await testDatabase();
  ({ uri } = database);
  orders = `${database.name}.orders`;
  await database.db.collection("orders").insertMany([...documents("small", 2_000)]);
});

/** Runs a script of the shell in which `mongotap` is the program under test; resolves to what it said. */
function shell(
  script: string,
  env: Readonly<Record<string, string>> = {},
): { code: number | null; stdout: string; stderr: string } {
  const { program, args } = commandUnderTest();
  const quoted = [program, ...args].map((word) => `'${word}'`).join(" ");
  const result = spawnSync("bash", ["-c", `mongotap() { ${quoted} "$@"; }\n${script}`], {
    env: { ...process.env, MONGOTAP_URI: uri, ORDERS: orders, ...env },
    encoding: "utf8",
    timeout: 30_000,
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** The flags of the shell's stdout and stderr, which it shares with every program that it starts. */
const FLAGS = `sed -n 's/^flags:\\t//p' /proc/$BASHPID/fdinfo/1 /proc/$BASHPID/fdinfo/2 >&3`;

test.each([
  ["--version", ""],
  ["--help", ""],
  ["discover", "discover"],
  ["an error", "backfill no.such"],
  ["a backfill", "backfill $ORDERS"],
  ["a backfill with workers", "backfill $ORDERS --workers 3 --max-memory 1MB"],
  ["a tail", "tail $ORDERS --for 100ms"],
  ["a capture", "capture $ORDERS --until caught-up"],
])("%s leaves the pipes that it shares with the shell blocking, as they were", async (what, command) => {
  await using dir = await tempDir();
  // One pipe for both, as in \`2>&1 | tee log\`; descriptor 3 is where the test looks.
  const script = `{ ${FLAGS}; mongotap ${command === "" ? what : command}; ${FLAGS}; } 3>"$FOUND" 2>&1 | cat >/dev/null`;
  shell(script, { FOUND: dir.join("flags") });
  const flags = textLinesOf(readFileSync(dir.join("flags"), "utf8"));
  expect(flags).toHaveLength(4);
  expect(new Set(flags).size).toBe(1);
  const O_NONBLOCK = 0o4000;
  expect(Number.parseInt(flags[0] ?? "", 8) & O_NONBLOCK).toBe(0);
});

test("a pipeline of the shell: | head -1 ends with 141, one line, and not a word on stderr", () => {
  const { stdout, stderr } = shell('mongotap backfill $ORDERS | head -1; echo "${PIPESTATUS[0]}"');
  const [line = "", status] = stdout.split("\n");
  expect(JSON.parse(line)).toHaveProperty("_id");
  expect({ status, stderr }).toEqual({ status: "141", stderr: "" });
});

test("data goes to stdout and nothing else does; a redirection to a file appends at the position of the shell", async () => {
  await using dir = await tempDir();
  const script =
    '{ echo before; mongotap backfill $ORDERS --log-level debug; echo after; } > "$FILE"; mongotap backfill $ORDERS >> "$FILE" 2>/dev/null';
  const { code } = shell(script, { FILE: dir.join("file") });
  expect(code).toBe(0);
  const lines = textLinesOf(readFileSync(dir.join("file"), "utf8"));
  expect(lines).toHaveLength(4_002);
  expect([lines[0], lines[2_001]]).toEqual(["before", "after"]);
  expect(lines.filter((line) => line.startsWith('{"_id":'))).toHaveLength(4_000);
  expect(lines.slice(2_002)).toEqual(lines.slice(1, 2_001));
});

test("a late reader receives every byte, including the last lines before the end", () => {
  const late = shell("mongotap backfill $ORDERS 2>/dev/null | { sleep 0.5; md5sum; }");
  const prompt = shell("mongotap backfill $ORDERS 2>/dev/null | md5sum");
  expect(late.stdout).toBe(prompt.stdout);
  const cut = shell("mongotap backfill $ORDERS 2>/dev/null | { sleep 0.5; grep -c _id; }");
  expect(cut.stdout).toBe("2000\n");
});

test("a closed or full standard error does not end the run", () => {
  for (const redirection of ["2>&-", "2>/dev/full"]) {
    const { code, stdout } = shell(`mongotap backfill $ORDERS --log-level debug ${redirection}`);
    expect(code).toBe(0);
    expect(textLinesOf(stdout)).toHaveLength(2_000);
  }
});

test("no input is waited for: a closed stdin, or an idle terminal, changes nothing", () => {
  const { code, stdout } = shell("mongotap backfill $ORDERS <&-");
  expect(code).toBe(0);
  expect(textLinesOf(stdout)).toHaveLength(2_000);
});
