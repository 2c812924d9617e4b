import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { appendFile, chmod, mkdir, readFile, rename, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { startReplicaSet } from "../../scripts/mongod.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { linesIn, type Tap, tapAt } from "./tap.ts";

let database: TestDatabase;
let tap: Tap;
let name: string;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
  name = `${database.name}.orders`;
  await database.db.collection("orders").insertMany([...documents("small", 200)]);
});

interface Captured extends AsyncDisposable {
  readonly args: readonly string[];
  readonly out: string;
  readonly state: string;
  join(...names: string[]): string;
  /** What must not change when a run is refused: bytes, inode and time of both files. */
  snapshot(): Promise<unknown>;
}

/** A capture that has caught up, in a folder of its own. */
async function captured(): Promise<Captured> {
  const dir = await tempDir();
  const [out, state] = [dir.join("out"), dir.join("state")];
  const args = ["capture", name, "--out", out, "--state", state, "--until", "caught-up"];
  await tap.expect(0, args);
  const lookAt = async (path: string): Promise<unknown> => {
    if (!existsSync(path)) return undefined;
    const { ino, mtimeNs, size } = await stat(path, { bigint: true });
    return { ino, mtimeNs, size, text: await readFile(path, "utf8") };
  };
  return {
    args,
    out,
    state,
    join: (...names) => dir.join(...names),
    snapshot: async () => ({ out: await lookAt(out), state: await lookAt(state) }),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

describe("two runs on one state", () => {
  test("the second ends with 75 and names the first; --skip-if-locked makes that 0, --wait-lock waits in vain", async () => {
    await using dir = await tempDir();
    const args = ["tail", name, "--state", dir.join("state"), "--out", dir.join("out")];
    await using first = tap.start(args);
    await waitFor(() => existsSync(dir.join("state")), { what: "the first run to hold the lock" });
    const second = await tap.expect(75, args);
    expect(second.stderr).toContain(`is held by process ${first.pid} on `);
    const skipped = await tap.expect(0, [...args, "--skip-if-locked"]);
    expect(skipped.stderr).toContain("skipped");
    const waited = await tap.expect(75, [...args, "--wait-lock", "400ms"]);
    expect(waited.ms).toBeGreaterThanOrEqual(400);
    first.kill("SIGTERM");
    expect((await first.done).code).toBe(0);
  });

  test("--wait-lock goes on when the first is killed with -9: the kernel frees the lock", async () => {
    await using dir = await tempDir();
    const args = ["tail", name, "--state", dir.join("state"), "--out", dir.join("out")];
    await using first = tap.start(args);
    await waitFor(() => existsSync(dir.join("state")), { what: "the first run to hold the lock" });
    const second = tap.expect(0, [...args, "--until", "caught-up", "--wait-lock", "20s"]);
    const isWaiting = await Promise.race([second.then(() => false), Bun.sleep(300).then(() => true)]);
    expect(isWaiting).toBe(true);
    first.kill("SIGKILL");
    await second;
  });
});

describe("a state that cannot be used ends with 3, is never taken for a fresh start, and nothing is touched:", () => {
  test("cut off anywhere (at every 40th of its bytes: state-cut.test.ts), or of no bytes at all", async () => {
    await using run = await captured();
    const whole = await readFile(run.state);
    for (const length of [0, 1, whole.length >> 1, whole.length - 1]) {
      await writeFile(run.state, whole.subarray(0, length));
      const before = await run.snapshot();
      const { stderr } = await tap.expect(3, run.args);
      expect(stderr).toContain(`the state file ${run.state} cannot be used`);
      expect(await run.snapshot()).toEqual(before);
    }
  });

  test("changed by hand, of a newer format, not JSON, a folder, a link, writable by others", async () => {
    await using run = await captured();
    const text = await readFile(run.state, "utf8");
    const refuse = async (says: string): Promise<void> => {
      const before = await readFile(run.out);
      const { stderr } = await tap.expect(3, run.args);
      expect(stderr).toContain(says);
      expect(await readFile(run.out)).toEqual(before);
    };
    await writeFile(run.state, text.replace(/"seq": \d+/, '"seq": 999'));
    await refuse("its checksum does not match");
    await writeFile(run.state, text.replace('"formatVersion": 2', '"formatVersion": 1'));
    await refuse("it has format version 1");
    await writeFile(run.state, "position: 17\n");
    await refuse("it is not complete JSON");
    await writeFile(run.state, text);
    await chmod(run.state, 0o622);
    await refuse("other users may write to it");
    await rename(run.state, run.join("elsewhere"));
    await chmod(run.join("elsewhere"), 0o600);
    await symlink(run.join("elsewhere"), run.state);
    await refuse("it is a symbolic link");
    await rename(run.state, run.join("link"));
    await mkdir(run.state);
    await refuse("it is a directory");
  });

  test("made by another command line: what differs is named", async () => {
    await using run = await captured();
    const before = await run.snapshot();
    const refuse = async (says: string, args: readonly string[]): Promise<void> => {
      const { stderr } = await tap.expect(3, args);
      expect(stderr).toContain("was made by another command line");
      expect(stderr).toContain(says);
    };
    await refuse("format: relaxed → canonical", [...run.args, "--format", "canonical"]);
    await refuse("envelope: meta → change", [...run.args, "--envelope", "change"]);
    await refuse("command: capture → tail", ["tail", ...run.args.slice(1)]);
    await refuse(`out: ${run.out} → ${run.join("other")}`, [
      "capture",
      name,
      "--state",
      run.state,
      "--out",
      run.join("other"),
    ]);
    expect(await run.snapshot()).toEqual(before);
    expect(existsSync(run.join("other"))).toBe(false);
  });

  test("of another cluster", async () => {
    await using run = await captured();
    const before = await run.snapshot();
    await using other = await startReplicaSet({ members: 1 });
    const { stderr } = await tapAt(other.uri).expect(3, run.args);
    expect(stderr).toContain(`${run.state} belongs to another cluster`);
    expect(await run.snapshot()).toEqual(before);
  });

  test("with an output that is shorter than it says, missing, or another file", async () => {
    await using run = await captured();
    const whole = await readFile(run.out);
    await truncate(run.out, whole.length - 1);
    const before = await run.snapshot();
    expect((await tap.expect(3, run.args)).stderr).toContain("is shorter than the state says");
    expect(await run.snapshot()).toEqual(before);
    await writeFile(run.out, Buffer.alloc(whole.length, "x"));
    expect((await tap.expect(3, run.args)).stderr).toContain("is not the file that the state knows");
    await rename(run.out, run.join("elsewhere"));
    expect((await tap.expect(3, run.args)).stderr).toContain("is missing");
    expect(existsSync(run.out)).toBe(false);
  });
});

test("an output that is longer than its state says is cut back: what was not committed comes again", async () => {
  await using run = await captured();
  const whole = await readFile(run.out);
  await appendFile(run.out, '{"torn":');
  await tap.expect(0, run.args);
  expect(await readFile(run.out)).toEqual(whole);
});

test("--fresh starts over, whatever the state says, and replaces the output", async () => {
  await using run = await captured();
  await writeFile(run.state, "rubbish");
  await writeFile(run.out, "rubbish");
  await tap.expect(0, [...run.args, "--fresh"]);
  expect(await linesIn(run.out)).toHaveLength(200);
  await tap.expect(0, run.args);
  expect(await linesIn(run.out)).toHaveLength(200);
});

test("a state is readable by its owner alone, and no lock or temporary file is left", async () => {
  await using run = await captured();
  expect((await stat(run.state)).mode & 0o777).toBe(0o600);
  const names = await Array.fromAsync(new Bun.Glob("**").scan({ cwd: run.join(), dot: true }));
  expect(names.toSorted((a, b) => a.localeCompare(b))).toEqual(["out", "state"]);
});

test("a file that no state knows is not written over", async () => {
  await using dir = await tempDir();
  await writeFile(dir.join("out"), "precious\n");
  const { stderr } = await tap.expect(8, ["capture", name, "--out", dir.join("out"), "--state", dir.join("state")]);
  expect(stderr).toContain("exists, and no state file says that it is ours");
  expect(await readFile(dir.join("out"), "utf8")).toBe("precious\n");
});
