/** A history that is lost while one waits. */
import { Binary, type MongoClient, Timestamp } from "mongodb";
import type { ReplicaSetOptions } from "../../../scripts/mongod.ts";
import type { ClusterTime } from "../../../src/source/record.ts";
import { clusterTimeOf } from "../../../src/source/cluster-time.ts";

/** For startReplicaSet(): the oplog turns over with a few MB, and says each second what time it is. */
export const SMALL_OPLOG = {
  oplogSizeMB: 1,
  syncdelay: 1,
  parameters: { writePeriodicNoops: "true", periodicNoopIntervalSecs: "1" },
} as const satisfies Partial<ReplicaSetOptions>;

const PADDING = new Binary(new Uint8Array(200_000).fill(7));
const PATIENCE_MS = 50_000;

/** The oldest entry. */
export async function oldestOf(client: MongoClient): Promise<ClusterTime> {
  return clusterTimeOf(await endOf(client, 1));
}

/** The newest entry. */
async function newestOf(client: MongoClient): Promise<Timestamp> {
  return await endOf(client, -1);
}

async function endOf(client: MongoClient, direction: 1 | -1): Promise<Timestamp> {
  const oplog = client.db("local").collection("oplog.rs");
  const entry = await oplog.findOne({}, { sort: { $natural: direction }, projection: { ts: 1 } });
  const ts: unknown = entry?.["ts"];
  if (!(ts instanceof Timestamp)) throw new Error("the oplog is empty");
  return ts;
}

interface RollOptions {
  /** Least number of rounds of writes, each about the size of a small oplog. */
  readonly times?: number;
  /** The oplog of the member behind this client; default: that of the primary. */
  readonly of?: MongoClient;
}

/** Writes elsewhere until the oplog begins after what is now its end. */
export async function rollOplog(client: MongoClient, { times = 1, of = client }: RollOptions = {}): Promise<void> {
  const past = clusterTimeOf(await newestOf(client));
  const noise = client.db("noise").collection("noise");
  const deadline = Date.now() + PATIENCE_MS;
  for (let round = 0; round < times || (await oldestOf(of)) <= past; round += 1) {
    if (Date.now() > deadline) throw new Error(`the oplog did not turn over within ${PATIENCE_MS} ms`);
    await noise.insertMany(Array.from({ length: 10 }, () => ({ padding: PADDING })));
  }
  await noise.deleteMany({});
}
