import { expect, test } from "bun:test";
import { MongoClient } from "mongodb";
import { collectionUuid, resolveBindings } from "../../src/source/catalog.ts";
import { testDatabase } from "../support/replica-set.ts";

const SERVER_NAMES = ["tmp.agg_out.1b2c", "tmp.mr.report_1", "tmpaB3dE.renameCollection", "tmpaB3dE.convertToCapped.a"];
/** They only look like such names. */
const OWN_NAMES = ["tmp", "tmp.agg_output", "tmpaB3dE.renameCollections", "tmpfile.renameCollection"];

test("a binding of a database includes none of the collections that the server builds under names of its own", async () => {
  const { client, db, name } = await testDatabase();
  for (const collection of [...SERVER_NAMES, ...OWN_NAMES]) await db.createCollection(collection);
  const found = await resolveBindings(client, [{ db: name }], () => false);
  expect(found.map(({ namespace }) => namespace.collection)).toEqual(OWN_NAMES);
});

test("collections are listed on the primary, since a secondary may not know what the change stream has reported", async () => {
  const { db, name, uri } = await testDatabase();
  await db.createCollection("a");
  await using client = new MongoClient(uri, { readPreference: "secondaryPreferred", monitorCommands: true });
  const preferences: unknown[] = [];
  client.on("commandStarted", ({ command }) => {
    if ("listCollections" in command) preferences.push(command["$readPreference"]);
  });
  expect(await resolveBindings(client, [{ db: name }], () => false)).toHaveLength(1);
  expect(await collectionUuid(client, { db: name, collection: "a" })).toHaveLength(32);
  expect(preferences).toEqual([undefined, undefined]);
});
