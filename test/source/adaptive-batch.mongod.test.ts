import { expect, test } from "bun:test";
import { type CommandStartedEvent, MongoClient } from "mongodb";
import { AdaptiveBatchSize } from "../../src/source/adaptive-batch.ts";
import { parseBinding } from "../../src/source/bindings.ts";
import { ChangeStream } from "../../src/source/change-stream.ts";
import { failCommand } from "../support/fail-point.ts";
import { sharedReplicaSet, testDatabase } from "../support/replica-set.ts";

const never = new AbortController().signal;
const APP = { appName: "adaptive" };
/** 16 replies of 4, then 16 of 8, then one of 16. */
const EVENTS = 16 * 4 + 16 * 8 + 16;

test("a stream asks for less when the server runs out of time, also when it is opened again, and for more when it has kept up", async () => {
  const { client: admin, db, name } = await testDatabase();
  await db.createCollection("c");
  await using client = await MongoClient.connect((await sharedReplicaSet()).uri, { monitorCommands: true, ...APP });
  const sizes: number[] = [];
  client.on("commandStarted", ({ command, commandName }: CommandStartedEvent) => {
    if (commandName === "getMore") sizes.push(Number(command["batchSize"]));
  });
  const settings = {
    client,
    bindings: [parseBinding(`${name}.c`)],
    fullDocument: "default",
    beforeImages: false,
    splitLargeEvents: false,
    sharded: false,
    batchSize: new AdaptiveBatchSize(16),
  } as const;
  await using first = await ChangeStream.open(settings, "now", never);
  const from = first.position;
  await db.collection("c").insertMany(Array.from({ length: EVENTS }, () => ({})));
  {
    await using _fault = await failCommand(admin, { failCommands: ["getMore"], errorCode: 50, ...APP });
    for (let i = 0; i < 2; i += 1) {
      await using stream = await ChangeStream.open(settings, from, never);
      const thrown = await stream.next(100).catch((error: unknown) => error);
      expect(thrown).toMatchObject({ kind: "connect", retryable: true });
    }
  }
  await using stream = await ChangeStream.open(settings, from, never);
  for (let left = EVENTS; left > 0;) left -= (await stream.next(100)).documents.offsets.length;
  expect(sizes.slice(0, 3)).toEqual([16, 8, 4]);
  expect([16, 8, 4].map((size) => sizes.filter((asked) => asked === size).length)).toEqual([2, 17, 16]);
});
