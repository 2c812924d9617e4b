/** Random writes of which each leaves a known version behind, and what a stream with look-ups shows of them. */
import { BSON, type ClientSession, type Collection, type Document, type MongoClient } from "mongodb";
import type { Random } from "../../scripts/lib/random.ts";
import { ChangeEvent } from "../../src/codec/change-event.ts";
import { completedEvent } from "../../src/codec/completed-event.ts";
import { readInt32 } from "../../src/codec/bson.ts";
import { AdaptiveBatchSize } from "../../src/source/adaptive-batch.ts";
import { parseBinding } from "../../src/source/bindings.ts";
import { ChangeStream } from "../../src/source/change-stream.ts";
import { LookupStream } from "../../src/source/lookup-stream.ts";
import type { DocumentNote, EventBatch, EventStream } from "../../src/source/record.ts";
import type { FullDocument, StreamStart } from "../../src/source/stream-command.ts";
import type { TestDatabase } from "../support/replica-set.ts";

export type Key = string | number;

export interface Version extends Document {
  readonly _id: Key;
}

/** An event: its operation (a replacement counts as an update), the document that it leaves behind, as JSON, and what the stream notes about it. */
export interface Shown {
  readonly operation: string;
  readonly key: string;
  readonly document: string | undefined;
  readonly note: DocumentNote | undefined;
}

const never = new AbortController().signal;

interface LookupOptions {
  readonly fullDocument?: FullDocument;
  /** Of a reply. */
  readonly mostEvents?: number;
  /** Leaves out events below the look-ups. */
  readonly filter?: (stream: EventStream) => EventStream;
}

/** A stream of these collections (none: of the database) that shows documents; `from` of an earlier one, or now. */
export async function openLookups(
  { client, name }: Pick<TestDatabase, "client" | "name">,
  names: readonly string[],
  from: StreamStart = "now",
  { fullDocument = "default", mostEvents = Infinity, filter = (stream) => stream }: LookupOptions = {},
): Promise<LookupStream> {
  const stream = await ChangeStream.open(
    {
      client,
      bindings: names.length === 0 ? [{ db: name }] : names.map((one) => parseBinding(`${name}.${one}`)),
      fullDocument,
      beforeImages: false,
      splitLargeEvents: false,
      sharded: false,
      batchSize: new AdaptiveBatchSize(mostEvents),
    },
    from,
    never,
  );
  return new LookupStream(filter(stream), { client, signal: never });
}

/** The events of a batch with their documents, as BSON. */
export function eventsOf({ documents: { bytes, offsets }, fullDocuments }: EventBatch): Uint8Array[] {
  const event = new ChangeEvent();
  return offsets.map((at, i) => {
    event.read(bytes, at);
    const found = fullDocuments?.[i];
    if (found !== undefined) event.complete(found);
    return event.isCompleted ? completedEvent(event).bytes : bytes.slice(at, at + readInt32(bytes, at));
  });
}

export function shownIn(batch: EventBatch): Shown[] {
  const event = new ChangeEvent();
  return eventsOf(batch).map((bytes, i) => {
    event.read(bytes, 0);
    const { documentKey, fullDocument } = event.slots;
    const text = (slot: typeof documentKey): string =>
      BSON.EJSON.stringify(BSON.deserialize(bytes.subarray(slot.begin, slot.end), { promoteValues: false }));
    return {
      operation: event.operation === "replace" ? "update" : event.operation,
      key: documentKey.isDocument ? text(documentKey) : "",
      document: fullDocument.isDocument ? text(fullDocument) : undefined,
      note: batch.notes?.[i],
    };
  });
}

/** Reads until `count` events have come. */
export async function readShown(stream: LookupStream, count: number): Promise<Shown[]> {
  const shown: Shown[] = [];
  while (shown.length < count) shown.push(...shownIn(await stream.next(100)));
  return shown;
}

/** What an event of this operation has to show. */
export function exactly(operation: string, key: Key, version?: Version): Shown {
  return {
    operation,
    key: BSON.EJSON.stringify({ _id: key }),
    document: version && BSON.EJSON.stringify(version),
    note: undefined,
  };
}

/** Updates at random; `n` makes each of them another one. */
function modifierFor(n: number, random: Random): Document {
  return random.pick<Document>([
    { $inc: { n: 1 } },
    { $set: { n, "inner.n": n } },
    { $push: { list: { $each: [n], $slice: -5 } } },
    { $unset: { [`f${random.whole(4)}`]: "" }, $set: { n } },
    { $set: { [`f${random.whole(4)}`]: "x".repeat(random.whole(50)), n } },
  ]);
}

/** As `modifierFor`; the server may make a replacement of it. */
function pipelineFor(n: number, random: Random): Document[] {
  const field = { $literal: "inner.n" };
  return random.pick<Document[]>([
    [{ $replaceWith: { $mergeObjects: ["$$ROOT", { n }] } }, { $unset: "inner.n" }],
    [{ $replaceWith: { $setField: { field, input: "$$ROOT", value: n } } }],
    [{ $replaceWith: { $unsetField: { field, input: "$$ROOT" } } }, { $set: { n } }],
  ]);
}

/** Writes at random to a few keys, most of it updates, every second one of the first key. Returns what events have to show. */
export class RandomWrites {
  readonly #client: MongoClient;
  readonly #collection: Collection<Version>;
  readonly #keys: readonly (readonly Key[])[];
  readonly #random: Random;
  readonly #present = new Map<number, Key>();
  /** What shows its own version also in a transaction. */
  readonly #replaced = new Set<Shown>();
  #n = 0;

  /** `keys`: of each document the `_id`s that it can be inserted with. */
  constructor(client: MongoClient, collection: Collection<Version>, keys: readonly (readonly Key[])[], random: Random) {
    this.#client = client;
    this.#collection = collection;
    this.#keys = keys;
    this.#random = random;
  }

  /** `transactions`: their share. */
  async write(count: number, transactions = 0.05): Promise<Shown[]> {
    const events: Shown[] = [];
    while (events.length < count) {
      if (this.#random.next() < transactions) events.push(...(await this.#transaction()));
      else events.push(...(await this.#one()));
    }
    return events;
  }

  async #one(session?: ClientSession): Promise<Shown[]> {
    const random = this.#random;
    const index = random.whole(2) === 0 ? 0 : random.whole(this.#keys.length);
    const _id = this.#present.get(index);
    this.#n += 1;
    const options = { ...(session && { session }) };
    if (_id === undefined) {
      const key = random.pick(this.#keys[index] ?? []);
      const version = { _id: key, n: this.#n, inner: { n: 0 }, list: [] };
      await this.#collection.insertOne(version, options);
      this.#present.set(index, key);
      return [exactly("insert", key, version)];
    }
    switch (random.whole(30)) {
      case 0:
        await this.#collection.deleteOne({ _id }, options);
        this.#present.delete(index);
        return [exactly("delete", _id)];
      case 1: {
        const version = { _id, n: this.#n, inner: { n: this.#n } };
        await this.#collection.replaceOne({ _id }, version, options);
        const event = exactly("update", _id, version);
        this.#replaced.add(event);
        return [event];
      }
      default:
        return await this.#update(_id, options);
    }
  }

  async #update(_id: Key, options: { session?: ClientSession }): Promise<Shown[]> {
    const isPipeline = options.session === undefined && this.#random.whole(8) === 0;
    const change = (isPipeline ? pipelineFor : modifierFor)(this.#n, this.#random);
    const find = { ...options, returnDocument: "before", includeResultMetadata: false } as const;
    const before = await this.#collection.findOneAndUpdate({ _id }, change, find);
    const after = await this.#collection.findOne({ _id }, options);
    if (after === null || BSON.EJSON.stringify(before) === BSON.EJSON.stringify(after)) return [];
    return [exactly("update", _id, after)];
  }

  /** The last version of a key in a transaction is that of all its updates in it. */
  async #transaction(): Promise<Shown[]> {
    const present = new Map(this.#present);
    let events: Shown[] = [];
    await this.#client.withSession((session) =>
      session.withTransaction(async () => {
        events = [];
        this.#present.clear();
        for (const [index, key] of present) this.#present.set(index, key);
        const count = 2 + this.#random.whole(4);
        for (let i = 0; i < count; i += 1) events.push(...(await this.#one(session)));
      }),
    );
    return events.map((event, i) => {
      if (event.operation !== "update" || this.#replaced.has(event)) return event;
      const later = events.slice(i).findLast(({ key }) => key === event.key);
      if (later?.document === undefined) return { ...event, document: undefined, note: "deleted" as const };
      return { ...event, document: later.document };
    });
  }
}
