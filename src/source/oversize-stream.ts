/**
 * A change stream that goes on behind events that the server cannot send: those above 16 MB with all that was asked for,
 * on a server that does not split them, or with a key that is too large in itself. The server then fails a whole reply, so
 * its events are requested again one by one; the event that fails alone is read without its documents, to name it and to
 * have its token.
 */

import { BSON } from "mongodb";

import { ChangeEvent } from "../codec/change-event.ts";
import { JsonWriter } from "../codec/json-writer.ts";
import { readInt32 } from "../codec/bson.ts";
import { createTranscoder } from "../codec/transcode.ts";
import { ServerCode, serverCodeOf, TOO_LARGE_HINT } from "../connect/server-errors.ts";
import { messageOf, MongotapError } from "../errors.ts";
import type { AdaptiveBatchSize } from "./adaptive-batch.ts";
import { bindingText, streamTarget } from "./bindings.ts";
import { toText } from "./bson-key.ts";
import { ChangeStream, type StreamSettings } from "./change-stream.ts";
import { isoOf, readClusterTime, timestampOf } from "./cluster-time.ts";
import {
  type ClusterTime,
  type EventBatch,
  type EventStream,
  isClusterTime,
  NO_DOCUMENTS,
  type PassedOver,
  type StreamPosition,
} from "./record.ts";
import { aggregateCommand, filterBindings, type StreamShape, type StreamStart } from "./stream-command.ts";
import { StreamCursor } from "./stream-cursor.ts";

export interface OversizeSettings extends StreamSettings {
  /** Receives what is passed over, in words. Undefined: an event that cannot be sent is an error. */
  readonly onPassedOver: ((reason: string) => void) | undefined;
}

/** After this number of replies of one event, or an empty one, what failed is behind the stream. */
const MOST_SINGLE_REPLIES = 2_000;
/** A key above this size, in bytes of BSON, is left out of what is read of an event. */
const MAX_KEY_BYTES = 65_536;
/**
 * A token of this many characters cannot be sent: a reply holds it twice, and the limit is 16 MB. It is twice as long as
 * the key that it holds. Where this match leaves it out, the server does not fail.
 */
const MAX_TOKEN_BYTES = 8_000_000;
const WITHOUT_DOCUMENTS = {
  $project: {
    operationType: 1,
    clusterTime: 1,
    ns: 1,
    documentKey: {
      $cond: [{ $lt: [{ $bsonSize: "$documentKey" }, MAX_KEY_BYTES] }, "$documentKey", "$$REMOVE"],
    },
  },
};
/** How long (ms) the server may look for the event, and how often. */
const LOOK_MS = 1_000;
const MOST_LOOKS = 60;

export class OversizeStream implements EventStream {
  readonly #settings: OversizeSettings;
  readonly #signal: AbortSignal;
  #stream: ChangeStream;
  /** How many replies of one event have been read; undefined where replies are of the usual size. */
  #single: number | undefined;
  /** The stream leaves out the events of these times whose tokens cannot be sent; in ascending order. */
  #hiddenAt: readonly ClusterTime[] = [];
  readonly startsAfter: ClusterTime;
  readonly serverTime: ClusterTime;

  private constructor(settings: OversizeSettings, stream: ChangeStream, signal: AbortSignal) {
    this.#settings = settings;
    this.#stream = stream;
    this.#signal = signal;
    this.startsAfter = stream.startsAfter;
    this.serverTime = stream.serverTime;
  }

  /** @throws as ChangeStream.open */
  static async open(settings: OversizeSettings, from: StreamStart, signal: AbortSignal): Promise<OversizeStream> {
    return new OversizeStream(settings, await ChangeStream.open(settings, from, signal), signal);
  }

  get position(): StreamPosition {
    return this.#stream.position;
  }

  get hasEnded(): boolean {
    return this.#stream.hasEnded;
  }

  hasPassed(time: ClusterTime): boolean {
    return this.#stream.hasPassed(time);
  }

  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    return this.#stream.split(batch, count);
  }

  async next(awaitMs: number): Promise<EventBatch> {
    try {
      if (!this.hasEnded && this.#isBehind()) await this.#openAgain(this.position);
      const batch = await this.#stream.next(awaitMs);
      if (this.#single !== undefined)
        this.#single = batch.documents.count === 0 ? MOST_SINGLE_REPLIES : this.#single + 1;
      return batch;
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!isTooLarge(error)) throw error;
      return await this.#onTooLarge(error);
    }
  }

  /** Whether the stream has left behind what it was opened for in another way than usual. */
  #isBehind(): boolean {
    const hiddenAt = this.#hiddenAt.at(-1);
    if (hiddenAt !== undefined) return this.position.time > hiddenAt;
    return this.#single !== undefined && this.#single >= MOST_SINGLE_REPLIES;
  }

  async #onTooLarge(error: unknown): Promise<EventBatch> {
    if (this.#single === undefined) {
      await this.#openAgain(this.position, { single: true, hiddenAt: this.#hiddenAt });
      return this.#without([]);
    }
    const event = await this.#readWithoutDocuments(error);
    const { onPassedOver } = this.#settings;
    if (onPassedOver === undefined) throw tooLargeError(event.passed, error);
    if (event.position) await this.#openAgain(event.position, { hiddenAt: this.#hiddenAt });
    else await this.#openAgain(this.position, { hiddenAt: [...this.#hiddenAt, event.time] });
    onPassedOver(`${event.passed.reason}: passed over`);
    return this.#without([event.passed]);
  }

  /** A batch without events. Where no token of what was passed over can be had, the position is still in front of it. */
  #without(passedOver: readonly PassedOver[]): EventBatch {
    const position = { collections: {}, stream: this.position };
    return { kind: "events", documents: NO_DOCUMENTS, sortKeys: [], position, passedOver };
  }

  async #openAgain(
    from: StreamPosition,
    { single = false, hiddenAt = [] }: { single?: boolean; hiddenAt?: readonly ClusterTime[] } = {},
  ): Promise<void> {
    const batchSize = single ? ONE : this.#settings.batchSize;
    await this.#stream[Symbol.asyncDispose]();
    const stages = withoutTokensOf(hiddenAt);
    this.#stream = await ChangeStream.open({ ...this.#settings, batchSize, stages }, from, this.#signal);
    this.#single = single ? 0 : undefined;
    this.#hiddenAt = hiddenAt;
  }

  /** @throws `error` if the event cannot be found */
  async #readWithoutDocuments(error: unknown): Promise<UnsendableEvent> {
    const { client } = this.#settings;
    const bindings = filterBindings(this.#settings.bindings, this.position);
    const shape: StreamShape = {
      bindings,
      fullDocument: "default",
      beforeImages: false,
      splitLargeEvents: false,
      stages: [...withoutTokensOf(this.#hiddenAt), WITHOUT_DOCUMENTS],
    };
    const { db } = streamTarget(bindings);
    await using cursor = new StreamCursor({ client, db, batchSize: ONE, signal: this.#signal });
    try {
      await cursor.open(aggregateCommand(shape, this.position));
      for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
        const { documents } = await cursor.next(LOOK_MS);
        const [at] = documents.offsets;
        if (at === undefined) continue;
        const bytes = Uint8Array.from(documents.bytes.subarray(at, at + readInt32(documents.bytes, at)));
        documents.release();
        return eventOf(bytes, this.position, bindings);
      }
    } catch (probed) {
      this.#signal.throwIfAborted();
      const time = isTooLarge(probed) ? timeIn(probed) : undefined;
      if (time === undefined || this.#hiddenAt.includes(time)) throw isTooLarge(probed) ? error : probed;
      const named = bindings.map(bindingText).join(", ");
      return { time, position: undefined, passed: unreadable(named, time) };
    }
    throw error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream[Symbol.asyncDispose]();
  }
}

/** The batch size of a stream that returns events one by one. */
const ONE: Pick<AdaptiveBatchSize, keyof AdaptiveBatchSize> = {
  limit: 1,
  onReply: () => undefined,
  onTooSlow: () => undefined,
};

interface UnsendableEvent {
  readonly time: ClusterTime;
  /** Behind it; undefined where even its token cannot be sent. */
  readonly position: StreamPosition | undefined;
  readonly passed: PassedOver;
}

function isTooLarge(error: unknown): boolean {
  const code = serverCodeOf(error);
  return code === ServerCode.BSONObjectTooLarge || code === ServerCode.Location7182500;
}

/** The stage that leaves out the events of these times whose tokens cannot be sent. */
function withoutTokensOf(times: readonly ClusterTime[]): Record<string, unknown>[] {
  if (times.length === 0) return [];
  const isLarge = { $gte: [{ $binarySize: "$_id._data" }, MAX_TOKEN_BYTES] };
  return [{ $match: { $expr: { $not: [{ $and: [{ $in: ["$clusterTime", times.map(timestampOf)] }, isLarge] }] } } }];
}

/** The time in the token of an event that cannot be sent: the server's message begins with the token. */
function timeIn(error: unknown): ClusterTime | undefined {
  const [, time = ""] = /_data: "82([0-9A-F]{16})/i.exec(messageOf(error)) ?? [];
  const lower = time.toLowerCase();
  return isClusterTime(lower) ? lower : undefined;
}

function eventOf(
  bytes: Uint8Array,
  before: StreamPosition,
  filter: NonNullable<StreamPosition["filter"]>,
): UnsendableEvent {
  const event = new ChangeEvent();
  event.read(bytes, 0);
  const { _id, clusterTime, documentKey } = event.slots;
  const time = clusterTime.type === 0 ? before.time : readClusterTime(bytes, clusterTime.begin);
  const position: StreamPosition = {
    token: toText(bytes.subarray(_id.begin, _id.end)),
    resume: "resumeAfter",
    time,
    sequence: time === before.time ? before.sequence + 1 : 1,
    filter,
  };
  const key = documentKey.isDocument ? keyText(bytes, documentKey.begin) : "a document with a large key";
  const reason = `the ${event.operation} of ${key} at ${isoOf(time)} is above 16 MB`;
  return { time, position, passed: { namespace: event.namespace, bytes, reason: `${event.namespace}: ${reason}` } };
}

function unreadable(namespace: string, time: ClusterTime): PassedOver {
  const reason = `${namespace}: a change of a document with a key above 4 MB at ${isoOf(time)} is above 16 MB`;
  return { namespace, bytes: BSON.serialize({ clusterTime: timestampOf(time) }), reason };
}

const MAX_SHOWN_CHARACTERS = 200;

function keyText(bytes: Uint8Array, at: number): string {
  const writer = new JsonWriter(256);
  createTranscoder({ format: "relaxed" }).writeDocument(writer, bytes, at);
  const text = new TextDecoder().decode(writer.view());
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text;
}

function tooLargeError({ reason }: PassedOver, cause: unknown): MongotapError {
  return new MongotapError("data", `${reason} (server code ${serverCodeOf(cause) ?? 0})`, {
    hint: TOO_LARGE_HINT,
    cause,
  });
}
