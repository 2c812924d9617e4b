/** What the documentation says of the outside world is tried out: the example lines, and the role with the fewest rights. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { type Document, MongoClient } from "mongodb";
import { blockIn, ROOT } from "../scripts/docs/blocks.ts";
import { makeExamples, normalize, readBlock } from "../scripts/docs/examples.ts";
import { type ReplicaSet, startReplicaSet } from "../scripts/mongod.ts";
import { ENVELOPES } from "../src/protocol/envelopes.ts";
import { CANARY, run } from "./support/cli.ts";
import { sharedReplicaSet, testDatabase } from "./support/replica-set.ts";
import { tempDir } from "./support/temp.ts";

test("docs/envelopes.md has the lines that the program prints", async () => {
  const { uri, db, name } = await testDatabase();
  const images = Number.parseInt((await sharedReplicaSet()).version, 10) >= 6;
  const made = await makeExamples(db, uri, images);
  for (const envelope of ENVELOPES) {
    const documented = readBlock(blockIn("docs/envelopes.md", envelope))
      .filter(({ of }) => images || !of.includes("images"))
      .map(({ of, line }) => [of, normalize(line)]);
    expect(made[envelope].map(({ of, line }) => [of, normalize(line, name)])).toEqual(documented);
  }
}, 120_000);

/** What README tells people to paste into mongosh, carried out on `set`. */
async function makeUserOfReadme(set: ReplicaSet, password: string): Promise<string> {
  const blocks = readFileSync(join(ROOT, "README.md"), "utf8").matchAll(/```js\n([^]*?)```/g);
  const [, script = ""] = [...blocks].find(([, text]) => text?.includes("createRole")) ?? [];
  const commands: Document[] = [];
  const shell = {
    getSiblingDB: () => ({
      createRole: ({ role, ...more }: Document) => commands.push({ createRole: role as string, ...more }),
      createUser: ({ user, ...more }: Document) => commands.push({ createUser: user as string, ...more }),
    }),
  };
  runInNewContext(script, { db: shell, passwordPrompt: () => password });
  await using client = await MongoClient.connect(set.uri);
  for (const command of commands) await client.db("admin").command(command);
  return String(commands.at(-1)?.["createUser"]);
}

test("the role in README is enough for every command, and for nothing else", async () => {
  await using set = await startReplicaSet({ members: 1, auth: { user: "root", password: "root" } });
  await using root = await MongoClient.connect(set.uri);
  for (const db of ["shop", "private"]) await root.db(db).collection<{ _id: number }>("orders").insertOne({ _id: 1 });
  const user = await makeUserOfReadme(set, CANARY);
  await using dir = await tempDir();
  const env = { MONGOTAP_URI: set.uri.replace("root:root@", `${user}:${CANARY}@`) };
  const tap = async (...args: string[]): Promise<[code: number | null, stderr: string]> => {
    const { code, stderr } = await run(args, { env, cwd: dir.path });
    return [code, stderr];
  };
  const files = ["--out", "shop/", "--state", "shop.state"];
  expect(await tap("discover", "--log-level", "warn")).toEqual([0, ""]);
  expect(await tap("backfill", "shop", "--log-level", "warn")).toEqual([0, ""]);
  expect(await tap("tail", "shop.orders", "--until", "caught-up", "--log-level", "warn")).toEqual([0, ""]);
  expect(await tap("capture", "shop", ...files, "--until", "caught-up", "--log-level", "warn")).toEqual([0, ""]);
  expect(await tap("check", "shop", ...files)).toEqual([0, ""]);
  expect(await tap("status", "--state", "shop.state", "--warn-at", "90%")).toEqual([0, ""]);
  expect((await tap("backfill", "private"))[0]).toBe(5);
}, 120_000);
