/**
 * Follows the oplog of a replica set into a Truth, past every fault of its members: it asks any of them, and for what the
 * majority has, so that all give the same answer.
 */

import { MongoClient, ObjectId, Timestamp } from "mongodb";

import type { ReplicaSet } from "../mongod.ts";
import { type OplogEntry, Truth } from "./truth.ts";

/** The marks that say that the truth is complete: `upTo`. */
const MARKS = "soak_marks";

const FIELDS = { op: 1, ns: 1, ts: 1, ui: 1, o: 1, o2: 1 } as const;
const PAUSE_MS = 150;

export class Follower implements AsyncDisposable {
  readonly truth = new Truth();
  readonly #clients: readonly MongoClient[];
  readonly #filter: Readonly<Record<string, unknown>>;
  readonly #marks = new Set<string>();
  #next = 0;
  #last = new Timestamp({ t: 0, i: 0 });
  #isStopped = false;
  #loop: Promise<void>;

  /** `db`: whose changes are followed. */
  constructor(set: ReplicaSet, db: string) {
    this.#clients = set.members.map(
      ({ address }) =>
        new MongoClient(`mongodb://${address}/?directConnection=true`, {
          serverSelectionTimeoutMS: 1_000,
          socketTimeoutMS: 10_000,
        }),
    );
    const ns = { $regex: `^(${db}|${MARKS})\\.` };
    this.#filter = { $or: [{ ns }, { ns: "admin.$cmd", "o.applyOps.ns": ns }] };
    this.#loop = this.#follow();
    this.#loop.catch(() => undefined); // thrown by upTo and when it is closed
  }

  /** The newest time up to which the truth is complete. */
  get last(): Timestamp {
    return this.#last;
  }

  async #follow(): Promise<void> {
    while (!this.#isStopped) {
      const client = this.#clients[this.#next % this.#clients.length] as MongoClient;
      const entries = await this.#read(client).catch(() => undefined);
      if (entries === undefined) this.#next += 1;
      else for (const entry of entries) this.#add(entry);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #read(client: MongoClient): Promise<OplogEntry[]> {
    const oplog = client.db("local").collection("oplog.rs", { readConcern: { level: "majority" } });
    const newest = await oplog.findOne({}, { sort: { $natural: -1 }, projection: { ts: 1 } });
    const until: unknown = newest?.["ts"];
    if (!(until instanceof Timestamp) || until.lessThanOrEqual(this.#last)) return [];
    const found = await oplog
      .find<OplogEntry>({ ts: { $gt: this.#last, $lte: until }, ...this.#filter }, { projection: FIELDS })
      .toArray();
    this.#last = until;
    return found;
  }

  #add(entry: OplogEntry): void {
    if (!entry.ns.startsWith(`${MARKS}.`)) this.truth.add(entry);
    else if (entry.op === "i") this.#marks.add(String(entry.o["_id"]));
  }

  /** Resolves when the truth has everything that was written before. `client` writes a mark. */
  async upTo(client: MongoClient): Promise<void> {
    for (;;) {
      const mark = new ObjectId().toHexString();
      const marks = client.db(MARKS).collection<{ _id: string }>("marks");
      const isWritten = await marks.insertOne({ _id: mark }).then(
        () => true,
        () => false,
      );
      const deadline = Date.now() + 20_000;
      while (isWritten && Date.now() < deadline) {
        if (this.#marks.has(mark)) return;
        await Promise.race([this.#loop, new Promise((resolve) => setTimeout(resolve, 20))]);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await this.#loop;
    for (const client of this.#clients) await client.close();
  }
}
