/**
 * A change stream whose updates show the document as of their own event, without images on the server: what an update does
 * not show is read at a cluster time between the event and the next one of the same document.
 *
 * For documents with several such events in a batch only the versions before the first and after the last are read; those
 * between are computed by the update descriptions, and believed if the last computed version is, byte for byte, the one that
 * was read (docs/decisions/013-documents-as-of-their-event.md).
 */

import type { MongoClient } from "mongodb";

import { type DocumentAt, readInt32 } from "../codec/bson.ts";
import { ChangeEvent } from "../codec/change-event.ts";
import { UpdateSeries } from "../codec/update-description.ts";
import { toMongotapError } from "../connect/server-errors.ts";
import { must } from "../errors.ts";
import { eventLoopTurn } from "../lib/async.ts";
import { type Hidden, type HiddenRun, KeyHistories, type KeyHistory, lacksDocument, type Step } from "./key-history.ts";
import { LookupReads, readsOf } from "./lookup-reads.ts";
import { type Found, planReads, type Wanted } from "./lookup-times.ts";
import {
  BEGINNING,
  type ClusterTime,
  type DocumentNote,
  type EventBatch,
  type EventStream,
  sortKeyTime,
  type StreamPosition,
} from "./record.ts";
import { DocumentsWithReplies } from "./reply-memory.ts";
import { tokenData, tokenUuid } from "./resume-token.ts";

export interface LookupSettings {
  readonly client: MongoClient;
  readonly signal: AbortSignal;
}

/** The target size of the documents of a batch, in bytes. */
const BATCH_BYTES = 1.5 * 1024 * 1024;

/** Completes the events of `stream`, and owns it. */
export class LookupStream implements EventStream {
  readonly #stream: EventStream;
  readonly #reads: LookupReads;
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  readonly #event = new ChangeEvent();
  /** What the stream has returned, and this one has not. */
  #rest: EventBatch | undefined;
  /** The next batch: its documents are looked up while the one before is encoded. */
  #ahead: Promise<EventBatch> | undefined;
  #position: StreamPosition;
  /** No event of the next batch is before this time, and no event up to it is missing from the batches before. */
  #before: ClusterTime;

  constructor(stream: EventStream, { client, signal }: LookupSettings) {
    this.#stream = stream;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#reads = new LookupReads({ client, signal: this.#signal });
    this.#position = stream.position;
    this.#before = stream.position.time;
  }

  get position(): StreamPosition {
    return this.#position;
  }

  get startsAfter(): ClusterTime {
    return this.#stream.startsAfter;
  }

  get serverTime(): ClusterTime {
    return this.#stream.serverTime;
  }

  get hasEnded(): boolean {
    return !this.#isAhead && this.#stream.hasEnded;
  }

  hasPassed(time: ClusterTime): boolean {
    return this.#isAhead ? this.#position.time > time : this.#stream.hasPassed(time);
  }

  /** The stream has been read further than the last batch that was returned. */
  get #isAhead(): boolean {
    return this.#rest !== undefined || this.#ahead !== undefined;
  }

  async next(awaitMs: number): Promise<EventBatch> {
    const ahead = this.#ahead ?? this.#read(awaitMs);
    this.#ahead = undefined;
    const batch = await ahead;
    this.#position = must(batch.position.stream, "the position of a stream");
    if (batch.fullDocuments !== undefined && !this.hasEnded) await this.#readAhead(awaitMs);
    return batch;
  }

  async #readAhead(awaitMs: number): Promise<void> {
    this.#ahead = this.#read(awaitMs);
    this.#ahead.catch(() => undefined); // the next call awaits it, if there is one
    await eventLoopTurn(); // its commands are on the wire now
  }

  async #read(awaitMs: number): Promise<EventBatch> {
    const batch = this.#rest ?? (await this.#stream.next(awaitMs));
    this.#rest = undefined;
    const before = this.#before;
    if (batch.lacksDocuments !== true || batch.documents.count === 0) {
      this.#before = must(batch.position.stream, "the position of a stream").time;
      return batch;
    }
    const histories = new KeyHistories();
    const count = this.#collect(batch, histories);
    const [head, rest] = count >= batch.documents.count ? [batch] : this.#stream.split(batch, count);
    this.#rest = rest;
    this.#before = must(head.position.stream, "the position of a stream").time;
    // The events of one time stay together where a reply is split; but a reply may end within a transaction.
    const last = sortKeyTime(must(head.sortKeys.at(-1), "the sort key of the last event"));
    const unfinished = rest === undefined && this.#before <= last ? last : undefined;
    return await this.#complete({ batch: head, before, unfinished }, histories.hidden());
  }

  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    return this.#stream.split(batch, count);
  }

  /** Adds events up to the size of a batch; returns how many, at least 1. Events of one time stay together. */
  #collect({ documents, sortKeys }: EventBatch, histories: KeyHistories): number {
    const { bytes, offsets } = documents;
    const event = this.#event;
    let room = BATCH_BYTES;
    let time: ClusterTime | undefined;
    for (const [i, offset] of offsets.entries()) {
      const own = sortKeyTime(must(sortKeys[i], "its sort key"));
      if (room <= 0 && own !== time) return i;
      time = own;
      event.read(bytes, offset);
      histories.add(event, i, own);
      if (lacksDocument(event)) room -= this.#reads.documentBytes;
    }
    return offsets.length;
  }

  async #complete(part: StreamPart, hidden: Hidden): Promise<EventBatch> {
    try {
      const completion = new Completion(part, this.#reads, this.#event);
      completion.showKnown(hidden.known);
      await completion.find(hidden.runs);
      return completion.result();
    } catch (error) {
      this.#signal.throwIfAborted();
      throw toMongotapError(error, "cannot look up the documents of updates");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#stream[Symbol.asyncDispose]();
    await this.#ahead?.catch(() => undefined); // its result is not needed
  }
}

/** A batch, and where the stream was read. */
interface StreamPart {
  readonly batch: EventBatch;
  /** No event of the batch is before this time, and no event up to it is missing from the batches before. */
  readonly before: ClusterTime;
  /** The time of the last event, where the stream may have more events of it. */
  readonly unfinished: ClusterTime | undefined;
}

/** Finds the hidden documents of one batch. */
class Completion {
  readonly #batch: EventBatch;
  readonly #before: ClusterTime;
  readonly #unfinished: ClusterTime | undefined;
  readonly #reads: LookupReads;
  readonly #event: ChangeEvent;
  readonly #times: readonly ClusterTime[];
  readonly #documents: (DocumentAt | undefined)[] = [];
  readonly #notes: (DocumentNote | undefined)[];
  /** Versions that have to be read one by one, and those that can only be read as they are now. */
  #single: Wanted[] = [];
  readonly #refused: Wanted[] = [];

  constructor({ batch, before, unfinished }: StreamPart, reads: LookupReads, event: ChangeEvent) {
    this.#batch = batch;
    this.#before = before;
    this.#unfinished = unfinished;
    this.#reads = reads;
    this.#event = event;
    this.#times = [...new Set(batch.sortKeys.map(sortKeyTime))];
    this.#notes = Array.from(batch.sortKeys, () => undefined);
  }

  showKnown(steps: readonly Step[]): void {
    for (const step of steps) {
      const shown = step.after === "shown" ? this.#shownBy(must(step.events.at(-1), "the last event")) : undefined;
      if (shown === undefined) this.#note(step, "deleted");
      else this.#show(step, shown);
    }
  }

  async find(runs: readonly HiddenRun[]): Promise<void> {
    const lasts: Wanted[] = [];
    const bases: Wanted[] = [];
    const long: { readonly run: HiddenRun; readonly last: Wanted; readonly base: Wanted | undefined }[] = [];
    for (const run of runs) {
      const last = this.#lastOf(run);
      lasts.push(last);
      if (run.steps.length === 1) continue;
      const { history, steps } = run;
      const first = must(steps[0], "the first step");
      const isBaseRead = run.base === "before the batch" && this.#knowsBase && first.time > this.#before;
      const base = isBaseRead ? wantedOf(history, first, first.time) : undefined;
      if (base) bases.push(base);
      if (base || typeof run.base === "number") long.push({ run, last, base });
      else this.#readSteps(run);
    }
    const wanted = [...lasts, ...this.#single];
    this.#single = [];
    await this.#reads.readAt([...planReads(wanted, this.#times), ...readsOf(this.#before, bases)]);
    for (const one of wanted) this.#settle(one);
    for (const { run, last, base } of long) this.#compute(run, last, base);
    const second = this.#single;
    await this.#reads.readAt(planReads(second, this.#times));
    for (const one of second) this.#settle(one);
    await this.#readRefused();
    await this.#withholdForeign();
  }

  /** What is read as of before the batch is what the first event of a document changed. */
  get #knowsBase(): boolean {
    return this.#before !== BEGINNING && this.#batch.lacksEvents !== true;
  }

  /** The last version of a run. At an unfinished time the stream may have another event of the same document. */
  #lastOf({ history, steps, until }: HiddenRun): Wanted {
    const step = must(steps.at(-1), "the last step");
    const unfinished = this.#unfinished !== undefined && step.time < this.#unfinished ? this.#unfinished : undefined;
    return wantedOf(history, step, until ?? unfinished);
  }

  /** The documents of the batch own what was read. */
  result(): EventBatch {
    const documents = new DocumentsWithReplies(this.#batch.documents, this.#reads.takeReplies());
    const hasNotes = this.#notes.some((note) => note !== undefined);
    return {
      ...this.#batch,
      documents,
      lacksDocuments: false,
      fullDocuments: this.#documents,
      ...(hasNotes ? { notes: this.#notes } : {}),
    };
  }

  /** All steps of the run but the last are to be read, each by itself. */
  #readSteps({ history, steps }: HiddenRun): void {
    for (const [i, step] of steps.slice(0, -1).entries())
      this.#single.push(wantedOf(history, step, must(steps[i + 1], "the next step").time));
  }

  /** The versions of a run but the last: computed from the one before, if that leads to the last one. */
  #compute(run: HiddenRun, { found: end }: Wanted, base: Wanted | undefined): void {
    const versions = this.#versionsOf(run, base?.found);
    if (versions === undefined || typeof end !== "object" || !isSame(must(versions.at(-1), "the last version"), end)) {
      this.#readSteps(run);
      return;
    }
    for (const [i, step] of run.steps.slice(0, -1).entries()) this.#show(step, versions[i]);
  }

  /** The version behind each step; undefined where one cannot be computed. */
  #versionsOf(run: HiddenRun, base: Found | undefined): DocumentAt[] | undefined {
    const { bytes, offsets } = this.#batch.documents;
    const event = this.#event;
    const series = new UpdateSeries();
    const versions: DocumentAt[] = [];
    let version: DocumentAt | undefined = typeof base === "object" ? base : undefined;
    if (typeof run.base === "number") version = this.#shownBy(run.base);
    for (const { events } of run.steps) {
      for (const index of events) {
        event.read(bytes, must(offsets[index], "an event"));
        const { fullDocument, updateDescription } = event.slots;
        if (fullDocument.isDocument) {
          if (versions.length > 0) return undefined; // the last version would prove none of those before
          version = { bytes, begin: fullDocument.begin };
        } else if (event.operation !== "update" || !updateDescription.isDocument || version === undefined)
          version = undefined;
        else {
          const after = series.apply(version, { bytes, begin: updateDescription.begin });
          version = after && { bytes: after, begin: 0 };
        }
      }
      if (version === undefined) return undefined;
      versions.push(version);
    }
    return versions;
  }

  #shownBy(index: number): DocumentAt | undefined {
    const { bytes, offsets } = this.#batch.documents;
    this.#event.read(bytes, must(offsets[index], "an event"));
    const { fullDocument } = this.#event.slots;
    return fullDocument.isDocument ? { bytes, begin: fullDocument.begin } : undefined;
  }

  #settle(wanted: Wanted): void {
    const { found } = wanted;
    if (found === "refused") this.#refused.push(wanted);
    else if (typeof found === "object") this.#show(wanted.step, found);
    else this.#note(wanted.step, found === "absent" ? "deleted" : "unavailable");
  }

  async #readRefused(): Promise<void> {
    if (this.#refused.length === 0) return;
    const last = must(this.#times.at(-1), "the time of the last event");
    // Of a collection that has ended, another one may have the name by now.
    const newest = new Map<KeyHistory, Wanted>();
    for (const one of this.#refused) if (one.history.endedAt === undefined) newest.set(one.history, one);
    await this.#reads.readNewest(readsOf(last, [...newest.values()]));
    for (const wanted of this.#refused) {
      const found = newest.get(wanted.history)?.found ?? "gone";
      if (typeof found !== "object") this.#note(wanted.step, "unavailable");
      else {
        this.#show(wanted.step, found);
        this.#note(wanted.step, "mayBeNewer");
      }
    }
  }

  /** Behind the batch another collection may have taken the name: its documents are not those of the events. */
  async #withholdForeign(): Promise<void> {
    const shown = this.#refused.filter(({ step }) => step.lacking.some((index) => this.#notes[index] === "mayBeNewer"));
    for (const [collection, own] of Map.groupBy(shown, ({ history }) => history.collection)) {
      const uuid = await this.#reads.uuidOf(collection);
      for (const { step } of own) {
        if ((this.#uuidOf(step) ?? uuid) === uuid) continue;
        this.#show(step, undefined);
        this.#note(step, "unavailable");
      }
    }
  }

  /** The UUID of the collection that had the name when the step happened. */
  #uuidOf({ events }: Step): string | undefined {
    const { bytes, offsets } = this.#batch.documents;
    this.#event.read(bytes, must(offsets[must(events.at(-1), "the last event")], "an event"));
    return tokenUuid(tokenData(bytes, this.#event.slots._id.begin));
  }

  #show({ lacking }: Step, document: DocumentAt | undefined): void {
    for (const index of lacking) this.#documents[index] = document;
  }

  #note({ lacking }: Step, note: DocumentNote): void {
    for (const index of lacking) this.#notes[index] = note;
  }
}

function wantedOf(own: KeyHistory, step: Step, until: ClusterTime | undefined): Wanted {
  return { history: own, step, until, found: "absent" };
}

function isSame(a: DocumentAt, b: DocumentAt): boolean {
  const length = readInt32(a.bytes, a.begin);
  if (length !== readInt32(b.bytes, b.begin)) return false;
  return Buffer.compare(a.bytes.subarray(a.begin, a.begin + length), b.bytes.subarray(b.begin, b.begin + length)) === 0;
}
