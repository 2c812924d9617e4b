/**
 * The replica set that tests share: one member, started by the first test that needs it. The watchdog stops it when the test
 * process ends, so there is no hook to register. Tests that stop, freeze or configure a server start their
 * own with `startReplicaSet`.
 */
import { randomBytes } from "node:crypto";
import { type Db, MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";

let shared: Promise<ReplicaSet> | undefined;
let sharedConnection: Promise<MongoClient> | undefined;
let databases = 0;
// Repeated tests in one process, or two runs on one server, must not share databases.
const RUN = randomBytes(3).toString("hex");

/** The shared set of one member. Never stop it, and leave no fail point on. */
export async function sharedReplicaSet(): Promise<ReplicaSet> {
  shared ??= startReplicaSet({ members: 1 });
  const set = await shared;
  const [member] = set.members;
  // When a test times out, the runner kills the processes that were started during it, this server too.
  if (!member.isRunning) {
    await member.start();
    await set.primary();
  }
  return set;
}

/** A name that no other test uses. */
function uniqueDatabase(): string {
  databases += 1;
  return `test_${RUN}_${databases}`;
}

export interface TestDatabase {
  /** Of the shared set. */
  readonly uri: string;
  /** Connected to the shared set, shared by all tests: do not close it. Writes wait for the majority. */
  readonly client: MongoClient;
  readonly db: Db;
  readonly name: string;
}

/** A database of its own on the shared set. It stays until the set ends: dropping one costs 0.1 s. */
export async function testDatabase(): Promise<TestDatabase> {
  const { uri } = await sharedReplicaSet();
  sharedConnection ??= MongoClient.connect(uri, { writeConcern: { w: "majority" } });
  const client = await sharedConnection;
  const name = uniqueDatabase();
  return { uri, client, db: client.db(name), name };
}
