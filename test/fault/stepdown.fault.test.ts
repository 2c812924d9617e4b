import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { MongoClient } from "mongodb";
import { startReplicaSet } from "../../scripts/mongod.ts";
import { firstDifference, linesIn, tapAt, textLinesOf } from "../cli/tap.ts";
import { randomFor } from "../support/random.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { type Item, startWriter } from "./writer.ts";

const KEYS = 2_000;

test("in a set of three whose primary steps down under load, tail and capture lose nothing and repeat nothing", async () => {
  await using set = await startReplicaSet({ members: 3 });
  await using client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  const collection = client.db("shop").collection<Item>("items");
  await collection.insertMany(Array.from({ length: KEYS }, (_, i) => ({ _id: i, v: -1, note: "" })));
  await using dir = await tempDir();
  const tap = tapAt(set.uri);
  const tailArgs = [
    "tail",
    "shop.items",
    "--envelope",
    "change",
    "--out",
    dir.join("tail"),
    "--state",
    dir.join("tail.state"),
  ];
  const captureArgs = ["capture", "shop.items", "--out", dir.join("capture"), "--state", dir.join("capture.state")];
  await tap.expect(0, [...tailArgs, "--until", "caught-up"]);
  const writer = startWriter(collection, { keys: KEYS, pauseMs: 3, random: randomFor("stepdown") });
  await using tail = tap.start(tailArgs);
  await using capture = tap.start(captureArgs);
  await waitFor(() => existsSync(dir.join("capture.state")), { what: "the position of the capture" });
  for (let round = 0; round < 3; round += 1) {
    const before = writer.acknowledged.length;
    await set.stepDown();
    await waitFor(() => writer.acknowledged.length > before + 20, { what: "writes to go on", timeoutMs: 30_000 });
  }
  await writer.stop();
  for (const [run, args] of [
    [tail, tailArgs],
    [capture, captureArgs],
  ] as const) {
    run.kill("SIGTERM");
    const { code, stderr } = await run.done;
    if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`);
    await tap.expect(0, [...args, "--until", "caught-up"]);
  }

  const told = (await linesIn(dir.join("tail"))).flatMap(({ op, update, document }) =>
    op === "c" || (op === "u" && update === undefined) ? [String((document as Item).v)] : [],
  );
  expect(firstDifference(told, writer.acknowledged.map(String))).toBeUndefined();

  const last = new Map<unknown, { readonly order: string; readonly item: unknown }>();
  for (const { _meta, ...item } of await linesIn(dir.join("capture"))) {
    const order = _meta?.order ?? "";
    expect((last.get(item._id)?.order ?? "") < order).toBe(true);
    last.set(item._id, { order, item: _meta?.op === "d" ? undefined : item });
  }
  const folded = [...last].flatMap(([id, { item }]) => (item === undefined ? [] : [[id, item] as const]));
  expect(new Map(folded)).toEqual(new Map((await collection.find().toArray()).map((item) => [item._id, item])));
  expect(textLinesOf(await readFile(dir.join("capture"), "utf8")).length).toBeGreaterThan(KEYS);
});
