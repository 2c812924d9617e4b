/** `mongotap check`: its findings, its remedies, and the exit code that a run would have. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet, startStandalone } from "../../scripts/mongod.ts";
import { CANARY, run } from "../support/cli.ts";
import { testDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";

interface Found {
  readonly name: string;
  readonly verdict: "ok" | "warn" | "fail";
  readonly detail: string;
  readonly remedy?: string;
}

function findingsOf(stdout: string): ReadonlyMap<string, Found> {
  const { checks } = JSON.parse(stdout) as { checks: readonly Found[] };
  return new Map(checks.map((found) => [found.name, found]));
}

test("on a usable server every check is ticked, and the exit code is 0", async () => {
  const { uri, db, name } = await testDatabase();
  await db.collection("orders").insertOne({ a: 1 });
  await using dir = await tempDir();
  const { code, stdout } = await run(
    ["check", `${name}.orders`, "--out", `${dir.path}/out`, "--state", `${dir.path}/state`],
    {
      env: { MONGOTAP_URI: uri },
    },
  );
  expect(stdout.split("\n").filter((line) => line.startsWith("✗"))).toEqual([]);
  for (const check of ["reachability", "TLS", "login", "version", "topology", "oplog window", "state", "output"]) {
    expect(stdout).toMatch(new RegExp(`^✓ ${check} `, "m"));
  }
  expect(code).toBe(0);
});

test("a missing collection fails with 2 and names the nearest one", async () => {
  const { uri, db, name } = await testDatabase();
  await db.collection("orders").insertOne({ a: 1 });
  const { code, stdout } = await run(["check", `${name}.ordres`, "--as", "json"], { env: { MONGOTAP_URI: uri } });
  expect(findingsOf(stdout).get("collections")).toMatchObject({
    verdict: "fail",
    remedy: `Did you mean ${name}.orders?`,
  });
  expect(code).toBe(2);
});

test("a damaged state fails with 3, an output that cannot be created with 8", async () => {
  const { uri, db, name } = await testDatabase();
  await db.collection("orders").insertOne({ a: 1 });
  await using dir = await tempDir();
  await writeFile(join(dir.path, "state"), "{", { mode: 0o600 });
  const common = ["check", `${name}.orders`, "--as", "json"];
  const damaged = await run([...common, "--state", join(dir.path, "state")], { env: { MONGOTAP_URI: uri } });
  expect(findingsOf(damaged.stdout).get("state")).toMatchObject({ verdict: "fail" });
  expect(damaged.code).toBe(3);
  const unwritable = await run([...common, "--out", join(dir.path, "no/such/file")], { env: { MONGOTAP_URI: uri } });
  expect(findingsOf(unwritable.stdout).get("output")?.remedy).toContain("mkdir -p");
  expect(unwritable.code).toBe(8);
});

test("without a server reachability fails with 4, and the local checks still run", async () => {
  await using dir = await tempDir();
  const uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300";
  const { code, stdout } = await run(["check", "a.b", "--as", "json", "--state", join(dir.path, "s")], {
    env: { MONGOTAP_URI: uri },
  });
  const found = findingsOf(stdout);
  expect(found.get("reachability")?.verdict).toBe("fail");
  expect(found.get("state")?.verdict).toBe("ok");
  expect(code).toBe(4);
});

test("a standalone server fails with 10 and says how to make it a replica set", async () => {
  await using server = await startStandalone();
  const { code, stdout } = await run(["check", "--as", "json"], { env: { MONGOTAP_URI: server.uri } });
  expect(findingsOf(stdout).get("topology")?.remedy).toContain("rs.initiate()");
  expect(code).toBe(10);
});

describe("with a login", () => {
  let set: ReplicaSet;
  let admin: MongoClient;
  const asUser = (user: string, password: string): { MONGOTAP_URI: string } => ({
    MONGOTAP_URI: set.uriWithoutCredentials.replace("mongodb://", `mongodb://${user}:${password}@`),
  });
  beforeAll(async () => {
    set = await startReplicaSet({ members: 1, auth: { user: "root", password: CANARY } });
    admin = new MongoClient(set.uri);
    await admin.db("shop").collection("orders").insertOne({ a: 1 });
    await admin.db("admin").command({ createUser: "limited", pwd: CANARY, roles: [] });
  });
  afterAll(async () => {
    await admin.close();
    await set.stop();
  });

  test("a wrong password fails as the login, with 5", async () => {
    const { code, stdout } = await run(["check", "shop.orders", "--as", "json"], { env: asUser("limited", "wrong") });
    expect(findingsOf(stdout).get("login")?.verdict).toBe("fail");
    expect(code).toBe(5);
  });

  test("each missing privilege is named, and the advised role suffices", async () => {
    const before = await run(["check", "shop.orders", "--as", "json"], { env: asUser("limited", CANARY) });
    const found = findingsOf(before.stdout);
    expect(before.code).toBe(5);
    for (const name of ["read shop.orders", "watch shop.orders"])
      expect(found.get(name)).toMatchObject({ verdict: "fail" });
    expect(found.get("read the oplog")?.verdict).toBe("warn");
    await followAdvice(found.get("read shop.orders")?.remedy ?? "");
    const after = await run(["check", "shop.orders", "--as", "json"], { env: asUser("limited", CANARY) });
    expect([...findingsOf(after.stdout).values()].filter(({ verdict }) => verdict === "fail")).toEqual([]);
    expect(after.code).toBe(0);
  });

  /** Runs the commands that the remedy says to paste into mongosh. */
  async function followAdvice(remedy: string): Promise<void> {
    const created = /db\.createRole\((\{[^]*?\})\)\n/.exec(remedy)?.[1] ?? "";
    const json = created.replaceAll(/(\w+): /g, '"$1": ').replaceAll(/,(\s*[\]}])/g, "$1");
    const { role, ...rest } = JSON.parse(json) as { role: string };
    await admin.db("admin").command({ createRole: role, ...rest });
    await admin.db("admin").command({ grantRolesToUser: "limited", roles: [role] });
  }
});
