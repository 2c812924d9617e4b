/** `mongotap discover` of servers that are not the usual one: with a login, and without a replica set. */

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

test("a Flow catalog holds the user but never the password, which capture takes from the environment", async () => {
  // What a run prints is searched for the password by test/support/cli.ts.
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

test("of a server that is no replica set it says that nothing can be streamed, and why", async () => {
  await using server = await startStandalone();
  await fill(server.uri);
  const { stdout } = await tapAt(server.uri).expect(0, ["discover", "shop", "--as", "json"]);
  expect((JSON.parse(stdout) as { collections: unknown[] }).collections).toEqual([
    expect.objectContaining({ canStream: false, whyNot: "change streams need a replica set or a sharded cluster" }),
  ]);
  const flow = await tapAt(server.uri).expect(0, ["discover", "shop", "--as", "flow"]);
  expect(flow.stderr).toStartWith("mongotap: shop.orders is left out: ");
});
