/** `mongotap discover` on servers with a login, and without a replica set. */

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { MongoClient } from "mongodb";
import { startReplicaSet, startStandalone } from "../../scripts/mongod.ts";
import { linesIn, tapAt } from "../cli/tap.ts";
import { CANARY } from "../support/cli.ts";
import { tempDir } from "../support/temp.ts";

async function fill(uri: string): Promise<void> {
  await using client = await MongoClient.connect(uri);
  await client
    .db("shop")
    .collection("orders")
    .insertOne({ n: 1 }, { writeConcern: { w: "majority" } });
}

test("a Flow catalog has the user and not the password, which capture reads from the environment", async () => {
  // test/support/cli.ts searches the output of each run for the password.
  await using set = await startReplicaSet({ members: 1, auth: { user: "reader@shop", password: CANARY } });
  await fill(set.uri);
  await using dir = await tempDir();
  const { stdout } = await tapAt(set.uri).expect(0, ["discover", "shop", "--as", "flow"]);
  expect(stdout).toContain("user: reader@shop\n");
  expect(stdout).toContain("password: ${MONGOTAP_PASSWORD}\n");
  await writeFile(dir.join("flow.yaml"), stdout);
  const args = ["capture", "--config", dir.join("flow.yaml"), "--out", `${dir.path}/`, "--until", "caught-up"];
  await tapAt("").expect(0, args, { env: { MONGOTAP_URI: undefined, MONGOTAP_PASSWORD: CANARY } });
  expect(await linesIn(dir.join("shop", "orders.ndjson"))).toEqual([expect.objectContaining({ n: 1 })]);
  for (const form of ["json", "html"]) {
    await tapAt(set.uri).expect(0, ["discover", "shop", "--as", form, "--examples", "shown", "--log-level", "debug"]);
  }
});

test("on a standalone server it says that no collection has a change stream, and why", async () => {
  await using server = await startStandalone();
  await fill(server.uri);
  const { stdout } = await tapAt(server.uri).expect(0, ["discover", "shop", "--as", "json"]);
  expect((JSON.parse(stdout) as { collections: unknown[] }).collections).toEqual([
    expect.objectContaining({ canStream: false, whyNot: "change streams need a replica set or a sharded cluster" }),
  ]);
  const flow = await tapAt(server.uri).expect(0, ["discover", "shop", "--as", "flow"]);
  expect(flow.stderr).toStartWith("mongotap: shop.orders is left out: ");
});
