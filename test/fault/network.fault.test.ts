import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { MongoClient } from "mongodb";
import { startReplicaSet } from "../../scripts/mongod.ts";
import { linesIn, tapAt } from "../cli/tap.ts";
import { documents } from "../support/documents.ts";
import { startProxy } from "../support/proxy.ts";
import { randomFor } from "../support/random.ts";
import { sharedReplicaSet, testDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

/** A breakable network to the shared server, and the URI through it. */
async function brokenNetwork(): Promise<Awaited<ReturnType<typeof startProxy>> & { readonly uri: string }> {
  const { members } = await sharedReplicaSet();
  const proxy = await startProxy({ port: members[0].port });
  return Object.assign(proxy, { uri: `mongodb://127.0.0.1:${proxy.port}/?directConnection=true` });
}

test("connections that break after any number of bytes cost a backfill no byte", async () => {
  const { db, name, uri } = await testDatabase();
  await db.collection("c").insertMany([...documents("small", 8_000)]);
  await using dir = await tempDir();
  const { stdoutBytes } = await tapAt(uri).expect(0, ["backfill", `${name}.c`]);
  await using proxy = await brokenNetwork();
  const random = randomFor("connections that break");
  const args = ["backfill", `${name}.c`, "--out", dir.join("out"), "--state", dir.join("state")];
  let runs = 0;
  for (let code: number | null = -1; code !== 0; runs += 1) {
    if (runs > 200) throw new Error("no end in sight");
    // Often enough that runs end early and go on; a connection at the very beginning is not tried again.
    proxy.dropAfter(3_000 + random.whole(400_000), { how: random.pick(["reset", "end"]), times: 3 });
    ({ code } = await tapAt(proxy.uri).run([...args, "--retry-for", "300ms"]));
    expect([0, 4]).toContain(code ?? -1);
  }
  expect((await readFile(dir.join("out"))).equals(stdoutBytes)).toBe(true);
});

test("a tail survives resets under load: each change once, in order", async () => {
  const { db, name } = await testDatabase();
  const collection = db.collection<{ _id: number }>("c");
  await collection.insertOne({ _id: -1 });
  await using dir = await tempDir();
  await using proxy = await brokenNetwork();
  const args = ["tail", `${name}.c`, "--out", dir.join("out"), "--state", dir.join("state")];
  await using tail = tapAt(proxy.uri).start([...args, "--limit", "1000"]);
  await waitFor(() => existsSync(dir.join("state")), { what: "the first position" });
  for (let i = 0; i < 1_000; i += 10) {
    await collection.insertMany(Array.from({ length: 10 }, (_, j) => ({ _id: i + j })));
    if (i % 150 === 0) proxy.resetAll();
  }
  const { code, stderr } = await tail.done;
  expect(code).toBe(0);
  expect(stderr).toContain("trying again");
  expect((await linesIn(dir.join("out"))).map((line) => line._id)).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
});

test("a tail reconnects to a server that was killed -9 and restarted, and writes all that was acknowledged", async () => {
  await using set = await startReplicaSet({ members: 1 });
  await using client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  const collection = client.db("shop").collection<{ _id: number }>("c");
  await collection.insertOne({ _id: -1 });
  await using dir = await tempDir();
  const args = ["tail", "shop.c", "--out", dir.join("out"), "--state", dir.join("state")];
  await using tail = tapAt(set.uri).start([...args, "--limit", "40"]);
  await waitFor(() => existsSync(dir.join("state")), { what: "the first position" });
  await collection.insertMany(Array.from({ length: 20 }, (_, i) => ({ _id: i })));
  await set.members[0].kill("SIGKILL");
  await tail.waitForStderr((line) => line.includes("trying again"), 30_000);
  await set.members[0].start();
  await set.primary();
  await collection.insertMany(Array.from({ length: 20 }, (_, i) => ({ _id: 20 + i })));
  expect((await tail.done).code).toBe(0);
  expect((await linesIn(dir.join("out"))).map((line) => line._id)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});
