/** Reads documents by their keys at cluster times: several commands in flight, each with one reply. */

import type { MongoClient } from "mongodb";

import { ServerCode, serverCodeOf } from "../connect/server-errors.ts";
import { inParallel } from "../lib/async.ts";
import { nameToNamespace } from "./bindings.ts";
import { collectionUuid } from "./catalog.ts";
import { timestampOf } from "./cluster-time.ts";
import { type CursorReply, killCursor, readCursor } from "./cursor-reply.ts";
import { KeyMatcher } from "./key-matcher.ts";
import type { Found, TimedRead, Wanted } from "./lookup-times.ts";
import { isSameInIndex } from "./index-bytes.ts";
import { documentElement, element, idFilterElement } from "./raw-bson.ts";
import type { BsonDocuments, ClusterTime } from "./record.ts";

export interface LookupReadSettings {
  readonly client: MongoClient;
  readonly signal: AbortSignal;
}

/** How many commands are in flight. */
const WIDTH = 4;
/** The target size of a reply, in bytes. */
const REPLY_BYTES = 2 * 1024 * 1024;
const MOST_KEYS = 5_000;
const MOST_KEY_BYTES = 2 * 1024 * 1024;
/** The assumed size of a document before the first one is known. */
const ASSUMED_DOCUMENT_BYTES = 16 * 1024;

/** The server has no snapshot of this time: too old, before a change of the catalog, or of a capped collection. */
const REFUSED = new Set<number | undefined>([
  ServerCode.SnapshotTooOld,
  ServerCode.SnapshotUnavailable,
  ServerCode.InvalidOptions,
  ServerCode.CommandNotSupported,
  ServerCode.NotImplemented,
]);

export class LookupReads {
  readonly #settings: LookupReadSettings;
  #replies: BsonDocuments[] = [];
  #documentBytes = ASSUMED_DOCUMENT_BYTES;

  constructor(settings: LookupReadSettings) {
    this.#settings = settings;
  }

  /** The average size of the documents that were read last, in bytes. */
  get documentBytes(): number {
    return this.#documentBytes;
  }

  /** Returns the replies since the last call: what was found is in their memory, which is now the caller's to release. */
  takeReplies(): readonly BsonDocuments[] {
    const replies = this.#replies;
    this.#replies = [];
    return replies;
  }

  /**
   * Reads as of the time of each read; notes in each `Wanted` what was found.
   * @throws MongotapError `connect`, `auth`
   */
  async readAt(reads: readonly TimedRead[]): Promise<void> {
    await inParallel(this.#split(reads), WIDTH, async (read) => {
      const readConcern = { level: "snapshot", atClusterTime: timestampOf(read.at) };
      await this.#read(read, readConcern);
    });
  }

  /** Reads what the majority has, at or after the time of each read. @throws as `readAt` */
  async readNewest(reads: readonly TimedRead[]): Promise<void> {
    await inParallel(this.#split(reads), WIDTH, async (read) => {
      await this.#read(read, { level: "majority", afterClusterTime: timestampOf(read.at) });
    });
  }

  /** The UUID of the collection that has the name now; null where there is none. @throws as `readAt` */
  async uuidOf(collection: string): Promise<string | null> {
    return await collectionUuid(this.#settings.client, nameToNamespace(collection));
  }

  /** Cuts reads so that their replies have about `REPLY_BYTES`. A key that `$in` may not have beside others is read alone. */
  #split(reads: readonly TimedRead[]): TimedRead[] {
    const most = Math.max(1, Math.min(MOST_KEYS, Math.floor(REPLY_BYTES / this.#documentBytes)));
    return reads.flatMap((all) => {
      const alone = new Set(all.wanted.filter(({ history }) => !isSameInIndex(history.id)));
      const parts = Array.from(alone, (one): TimedRead => ({ ...all, wanted: [one] }));
      const read = alone.size === 0 ? all : { ...all, wanted: all.wanted.filter((one) => !alone.has(one)) };
      let begin = 0;
      let bytes = 0;
      for (const [i, { history }] of read.wanted.entries()) {
        bytes += history.id.end - history.id.begin;
        if (i + 1 < read.wanted.length && i + 1 - begin < most && bytes < MOST_KEY_BYTES) continue;
        parts.push({ ...read, wanted: read.wanted.slice(begin, i + 1) });
        begin = i + 1;
        bytes = 0;
      }
      return parts;
    });
  }

  async #read(read: TimedRead, readConcern: Readonly<Record<string, unknown>>): Promise<void> {
    const { wanted } = read;
    try {
      const filter = idFilterElement(wanted.map(({ history }) => history.id));
      const reply = await this.#find(read, { batchSize: wanted.length + 1, readConcern }, filter);
      if (reply.id !== 0n) return await this.#readHalves(read, reply, readConcern);
      this.#take(read, reply, readConcern);
    } catch (error) {
      const code = serverCodeOf(error);
      if (REFUSED.has(code)) note(wanted, "refused");
      else if (code === ServerCode.BadValue) await this.#readSingly(read, readConcern);
      else throw error;
    }
  }

  /** The documents exceed the 16 MB of a reply. */
  async #readHalves(
    read: TimedRead,
    reply: CursorReply,
    readConcern: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    killCursor(this.#settings.client, nameToNamespace(read.collection), reply.id);
    this.#weigh(reply.documents);
    reply.documents.release();
    const [first] = read.wanted;
    if (read.wanted.length === 1 && first) return await this.#readByDocumentKey(read, first, readConcern);
    const middle = Math.ceil(read.wanted.length / 2);
    await this.#read({ ...read, wanted: read.wanted.slice(0, middle) }, readConcern);
    await this.#read({ ...read, wanted: read.wanted.slice(middle) }, readConcern);
  }

  /** Several shards have a document with this `_id`. */
  async #readByDocumentKey(
    read: TimedRead,
    { history: { id, shardKey } }: Wanted,
    readConcern: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const fields = shardKey.map(({ path, value }) =>
      documentElement(Buffer.from(path, "latin1").toString(), element("$eq", value)),
    );
    const filter = idFilterElement([id], ...fields);
    const reply = await this.#find(read, { limit: 1, singleBatch: true, readConcern }, filter);
    this.#take(read, reply, readConcern);
  }

  /** The filter refuses a key that looks like an operator; bounds of the index take every key. */
  async #readSingly(read: TimedRead, readConcern: Readonly<Record<string, unknown>>): Promise<void> {
    for (const one of read.wanted) {
      const min = documentElement("min", element("_id", one.history.id));
      const reply = await this.#find(read, { hint: { _id: 1 }, sort: { _id: 1 }, limit: 1, readConcern }, min);
      this.#take({ ...read, wanted: [one] }, reply, readConcern);
    }
  }

  async #find(
    { collection: name }: TimedRead,
    options: Readonly<Record<string, unknown>>,
    rawFields: Uint8Array,
  ): Promise<CursorReply> {
    const { client, signal } = this.#settings;
    const namespace = nameToNamespace(name);
    const command = { find: namespace.collection, ...options, comment: "mongotap" };
    return await readCursor(client, namespace, command, { signal, rawFields });
  }

  #take({ wanted }: TimedRead, reply: CursorReply, { level }: Readonly<Record<string, unknown>>): void {
    const { documents, atClusterTime } = reply;
    this.#replies.push(documents);
    this.#weigh(documents);
    // Seen on 6.0: the reply of a snapshot read has a time, but where there is no such collection.
    note(wanted, level === "snapshot" && atClusterTime === undefined ? "gone" : "absent");
    const matcher = new KeyMatcher(wanted);
    const { bytes } = documents;
    for (const begin of documents.offsets) {
      const owner = matcher.ownerOf(bytes, begin);
      if (owner !== undefined) owner.found = { bytes, begin };
    }
  }

  #weigh({ count, byteLength }: BsonDocuments): void {
    if (count > 0) this.#documentBytes = Math.ceil(byteLength / count);
  }
}

/** For reads that only depend on a time. */
export function readsOf(at: ClusterTime, wanted: readonly Wanted[]): TimedRead[] {
  const byCollection = Map.groupBy(wanted, ({ history }) => history.collection);
  return [...byCollection].map(([collection, own]) => ({ collection, at, wanted: own }));
}

function note(wanted: readonly Wanted[], found: Found): void {
  for (const one of wanted) one.found = found;
}
