/** A replica set of one member that one test file has for itself, because it stops it, fills its oplog or drops databases. */
import { afterAll } from "bun:test";
import { type Db, MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../../../scripts/mongod.ts";

export interface OwnSet {
  readonly set: ReplicaSet;
  /** Writes are acknowledged by the majority. */
  readonly client: MongoClient;
  /** Returns a database that no other test of the file uses. */
  readonly newDatabase: () => Db;
}

/** Starts the set, which is stopped behind the tests of the file. `prefix`: of the names of its databases. */
export async function ownReplicaSet(
  prefix: string,
  options: Omit<Parameters<typeof startReplicaSet>[0] & object, "members"> = {},
): Promise<OwnSet> {
  const set = await startReplicaSet({ members: 1, ...options });
  const client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  afterAll(async () => {
    await client.close();
    await set.stop();
  });
  let databases = 0;
  const newDatabase = (): Db => {
    databases += 1;
    return client.db(`${prefix}${databases}`);
  };
  return { set, client, newDatabase };
}
