/** Config files, lists and exclusions as a user has them: against a server, from the outside. */

import { beforeAll, describe, expect, test } from "bun:test";
import { chmod, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { linesIn, linesOf } from "../cli/tap.ts";
import { CANARY, type CliOptions, type CliResult, run } from "../support/cli.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

let database: TestDatabase;
let address = "";

beforeAll(async () => {
  database = await testDatabase();
  address = database.uri.replace(/^mongodb:\/\//, "").replace(/\/\?.*$/, "");
  for (const name of ["users", "orders", "logs"]) {
    await database.db.collection<{ _id: number; in: string }>(name).insertMany([
      { _id: 1, in: name },
      { _id: 2, in: name },
    ]);
  }
});

/** The catalog of Estuary's page on MongoDB, for this server. */
function catalog(): string {
  return `captures:
  \${PREFIX}/\${CAPTURE_NAME}:
    endpoint:
      connector:
        image: ghcr.io/estuary/source-mongodb:dev
        config:
          address: "${address}"
          database: "${database.name}"
    bindings:
      - resource:
          collection: users
          database: ${database.name}
        target: \${PREFIX}/users
      - resource: {collection: orders, database: ${database.name}}
        target: \${PREFIX}/deep/orders
`;
}

async function write(dir: TempDir, name: string, text: string, mode = 0o600): Promise<string> {
  const path = dir.join(name);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

async function expectCode(code: number, args: readonly string[], options?: CliOptions): Promise<CliResult> {
  const result = await run(args, options);
  if (result.code !== code) throw new Error(`mongotap ${args.join(" ")} ended with ${result.code}: ${result.stderr}`);
  return result;
}

async function filesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.flatMap((e) => (e.isFile() ? [join(e.parentPath, e.name).slice(path.length + 1)] : [])).toSorted();
}

describe("a Flow catalog", () => {
  test("is run as it is: bindings are read, targets name the files", async () => {
    await using dir = await tempDir();
    const config = await write(dir, "flow.yaml", catalog(), 0o644);
    await expectCode(0, ["backfill", "--config", config, "--out", `${dir.join("out")}/`]);
    expect(await filesIn(dir.join("out"))).toEqual(["deep/orders.ndjson", "users.ndjson"]);
    expect((await linesIn(dir.join("out", "users.ndjson"))).map((line) => line["in"])).toEqual(["users", "users"]);
    const { stdout } = await expectCode(0, ["backfill"], { env: { MONGOTAP_CONFIG: config } });
    expect(new Set(linesOf(stdout).map((line) => line["in"]))).toEqual(new Set(["users", "orders"]));
  });

  test("is captured, resumed, and its bindings may grow; a moved target is refused", async () => {
    await using dir = await tempDir();
    const flow = catalog();
    const config = await write(dir, "flow.yaml", flow.replace(/ {6}- resource: \{collection: orders.*\n.*\n/, ""));
    const args = ["capture", "--config", config, "--out", `${dir.join("out")}/`, "--state", dir.join("state")];
    const caughtUp = [...args, "--until", "caught-up"];
    const env = { PREFIX: "acmeCo" };
    await expectCode(0, caughtUp, { env });
    expect(await filesIn(dir.join("out"))).toEqual(["acmeCo/users.ndjson"]);
    await writeFile(config, flow);
    await expectCode(0, caughtUp, { env });
    expect(await linesIn(dir.join("out", "acmeCo", "deep", "orders.ndjson"))).toHaveLength(2);
    expect(await linesIn(dir.join("out", "acmeCo", "users.ndjson"))).toHaveLength(2);
    const { stderr } = await expectCode(3, caughtUp, { env: { PREFIX: "other" } });
    expect(stderr).toContain(`its target is now ${dir.join("out", "other", "users.ndjson")}`);
  });

  test("may keep the endpoint in another file, and settings of ours beside the captures", async () => {
    await using dir = await tempDir();
    await write(dir, "endpoint.json", JSON.stringify({ address, database: database.name }));
    const config = `config: endpoint.json\nbindings:\n  - resource: {database: ${database.name}, collection: users}\n    target: a/b\nout: files/\n`;
    await expectCode(0, ["backfill", "--config", await write(dir, "own.yaml", config)]);
    expect(await filesIn(dir.join("files"))).toEqual(["a/b.ndjson"]);
  });

  test("gives discover its databases, and check its bindings", async () => {
    await using dir = await tempDir();
    const config = await write(dir, "flow.yaml", catalog());
    const found = await expectCode(0, ["discover", "--config", config, "--as", "json"]);
    expect(found.stdout).toContain(`"${database.name}"`);
    expect(found.stdout).toContain('"logs"');
    const checked = await expectCode(0, ["check", "--config", config]);
    expect(checked.stdout).toContain(`read ${database.name}.orders`);
    expect(checked.stdout).toContain("w=majority, readPreference=primaryPreferred");
  });
});

describe("problems", () => {
  test("are printed in one line, and as JSON with --log-format json", async () => {
    await using dir = await tempDir();
    const config = await write(dir, "bad.yaml", `adress: h\npassword: ${CANARY}\nlimit: 0\n`, 0o644);
    const text = await expectCode(2, ["tail", "a.b", "--config", config]);
    expect(text.stderr).toMatch(
      /^mongotap: .*adress is not a setting \(Did you mean address\?\); .*chmod 600.*; .*limit takes.*\n {2}.*\n$/,
    );
    const json = await expectCode(2, ["tail", "a.b", "--config", config, "--log-format", "json"]);
    expect(JSON.parse(json.stderr)).toMatchObject({ level: "error", kind: "config", exit: 2 });
  });

  test("a config that names nothing to read", async () => {
    await using dir = await tempDir();
    const config = await write(dir, "none.yaml", `address: "${address}"\nbindings: []\n`);
    expect((await expectCode(2, ["capture", "--config", config])).stderr).toContain(
      "capture needs to know what to read",
    );
  });

  test("there is no --password", async () => {
    const { stderr } = await expectCode(2, ["tail", "a.b", "--password", CANARY]);
    expect(stderr).toContain("there is no --password: others can read command lines");
    await expectCode(2, ["tail", "a.b", `--password=${CANARY}`]);
  });

  test("a login that fails shows neither user nor password", async () => {
    await using dir = await tempDir();
    const config = await write(
      dir,
      "c.yaml",
      `address: "${address}"\nuser: nobody\npassword: ${CANARY}/@\nnamespaces: [a]\n`,
    );
    const { stderr } = await expectCode(5, ["tail", "--config", config, "--log-level", "debug"]);
    expect(stderr).not.toContain("nobody");
    const env = { MONGOTAP_PASSWORD: CANARY, MONGOTAP_USER: "nobody", MONGOTAP_ADDRESS: address };
    await expectCode(5, ["tail", "a.b", "--log-level", "debug"], { env });
  });
});

describe("what is read", () => {
  test("--collections-file, together with namespaces", async () => {
    await using dir = await tempDir();
    const csv = await write(dir, "list.csv", `\uFEFF${database.name},users\r\n\r\n"${database.name}.logs"\r\n`, 0o644);
    const args = ["backfill", "--collections-file", csv, "--uri", database.uri];
    const { stdout } = await expectCode(0, args);
    expect(new Set(linesOf(stdout).map((line) => line["in"]))).toEqual(new Set(["users", "logs"]));
    const more = await expectCode(0, [...args, `${database.name}.orders`]);
    expect(linesOf(more.stdout)).toHaveLength(6);
  });

  test("--exclude leaves collections out of a backfill and of a stream, and what is no longer excluded is copied", async () => {
    const own = await testDatabase();
    const insert = async (name: string, _id: number): Promise<void> => {
      await own.db.collection<{ _id: number }>(name).insertOne({ _id });
    };
    for (const name of ["a", "b", "c"]) await insert(name, 1);
    await using dir = await tempDir();
    const args = [
      "capture",
      own.name,
      "--uri",
      own.uri,
      "--until",
      "caught-up",
      "--out",
      `${dir.join("out")}/`,
      "--state",
      dir.join("s"),
    ];
    const excluding = [...args, "--exclude", `${own.name}.b`, "--exclude", `${own.name}.c`];
    await expectCode(0, excluding);
    for (const name of ["a", "b", "c", "d"]) await insert(name, 2);
    await expectCode(0, excluding);
    const names = (of: readonly string[]): string[] => of.map((name) => `${own.name}.${name}.ndjson`);
    expect(await filesIn(dir.join("out"))).toEqual(names(["a", "d"]));
    await expectCode(0, [...args, "--exclude", `${own.name}.c`]);
    expect(await filesIn(dir.join("out"))).toEqual(names(["a", "b", "d"]));
    const ids = async (name: string): Promise<unknown[]> =>
      (await linesIn(dir.join("out", `${own.name}.${name}.ndjson`))).map((l) => l._id);
    expect(await ids("a")).toEqual([1, 2]);
    expect(await ids("b")).toEqual([1, 2]);
    expect(await ids("d")).toEqual([2]);
    const stdout = (await expectCode(0, ["backfill", own.name, "--uri", own.uri, "--exclude", `${own.name}.a`])).stdout;
    expect(linesOf(stdout)).toHaveLength(5);
  });

  test("a capture that grows from one collection to its database copies the rest", async () => {
    const own = await testDatabase();
    for (const name of ["a", "b"]) await own.db.collection<{ _id: number }>(name).insertOne({ _id: 1 });
    await using dir = await tempDir();
    const args = ["--uri", own.uri, "--until", "caught-up", "--out", `${dir.join("out")}/`, "--state", dir.join("s")];
    await expectCode(0, ["capture", `${own.name}.a`, ...args]);
    await expectCode(0, ["capture", own.name, ...args]);
    expect(await filesIn(dir.join("out"))).toEqual([`${own.name}.a.ndjson`, `${own.name}.b.ndjson`]);
    expect(await linesIn(dir.join("out", `${own.name}.a.ndjson`))).toHaveLength(1);
  });

  test("an exclusion that excludes nothing is a slip", async () => {
    const { stderr } = await expectCode(2, ["tail", "shop", "--exclude", "shp.a", "--exclude", "shop.b"]);
    expect(stderr).toContain("shp.a is excluded, but nothing of the database shp is read");
  });
});

describe("disablePreImages", () => {
  test("leaves the documents before changes out", async () => {
    const own = await testDatabase();
    const options = { changeStreamPreAndPostImages: { enabled: true } };
    const images = await own.db.createCollection<{ _id: number; n: number }>("images", options).catch(() => undefined);
    if (images === undefined) return; // 5.0 keeps none
    await images.insertOne({ _id: 1, n: 1 });
    await using dir = await tempDir();
    const start = Math.floor(Date.now() / 1000) - 5;
    await images.updateOne({ _id: 1 }, { $set: { n: 2 } });
    const args = ["tail", `${own.name}.images`, "--until", "caught-up", "--start-at", String(start), "--uri", own.uri];
    const befores = ({ stdout }: CliResult): number => stdout.split('"before"').length - 1;
    expect(befores(await expectCode(0, args))).toBe(1);
    const config = await write(dir, "c.yaml", "advanced: {disablePreImages: true}\n");
    expect(befores(await expectCode(0, [...args, "--config", config]))).toBe(0);
    expect(befores(await expectCode(0, [...args, "--before", "none"]))).toBe(0);
  });
});

test("config-schema prints the JSON Schema", async () => {
  const { stdout, stderr } = await expectCode(0, ["config-schema"], { env: { MONGOTAP_CONFIG: "/nowhere" } });
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toMatchObject({ title: "mongotap config file", properties: { out: { default: "-" } } });
});

test("a config may come through a pipe", async () => {
  const { execFileSync, spawn } = await import("node:child_process");
  await using dir = await tempDir();
  const fifo = dir.join("fifo");
  execFileSync("mkfifo", ["-m", "600", fifo]);
  const writer = spawn("sh", ["-c", `cat > "$1"`, "sh", fifo], { stdio: ["pipe", "ignore", "inherit"] });
  writer.stdin.end(catalog());
  const { stdout } = await expectCode(0, ["backfill", "--config", fifo]);
  expect(linesOf(stdout)).toHaveLength(4);
});
