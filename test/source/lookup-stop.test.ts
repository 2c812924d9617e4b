import { expect, test } from "bun:test";
import { BSON, MongoClient, Timestamp } from "mongodb";
import { Stop } from "../../src/lib/process.ts";
import { LookupStream } from "../../src/source/lookup-stream.ts";
import { type EventBatch, NO_DOCUMENTS } from "../../src/source/record.ts";
import { events, ScriptedStream } from "../pipeline/fakes.ts";

/** An update that lacks its document, as a batch. */
function updateWithoutDocument(): EventBatch {
  const bytes = BSON.serialize({
    _id: { _data: "82" },
    operationType: "update",
    clusterTime: new Timestamp({ t: 1, i: 2 }),
    ns: { db: "shop", coll: "a" },
    documentKey: { _id: 1 },
    updateDescription: { updatedFields: { v: 1 }, removedFields: [], truncatedArrays: [] },
  });
  const documents = { ...NO_DOCUMENTS, count: 1, byteLength: bytes.length, bytes, offsets: [0] };
  return { ...events([2]), documents, lacksDocuments: true };
}

test("a run that is stopped during a look-up ends as stopped, not with an error", async () => {
  const stop = new AbortController();
  await using client = new MongoClient("mongodb://127.0.0.1:9");
  await using stream = new LookupStream(new ScriptedStream(1, [updateWithoutDocument()]), {
    client,
    signal: stop.signal,
  });
  const next = stream.next(1).catch((error: unknown) => error);
  const reason = new Stop({ kind: "deadline" });
  stop.abort(reason);
  expect(await next).toBe(reason);
});
