/** Batches to NDJSON: an envelope around each document, one buffer for all, and the output key of each line. */

import { ChangeEvent, TERMINAL_OPERATIONS } from "../codec/change-event.ts";
import { completedEvent } from "../codec/completed-event.ts";
import { JsonWriter } from "../codec/json-writer.ts";
import { createTranscoder } from "../codec/transcode.ts";
import type { TranscoderOptions } from "../codec/transcoder.ts";
import { MongotapError, must } from "../errors.ts";
import { CollectionKeys, EVERYTHING, type OutputKey, outputKeyOf, QUARANTINE } from "../lib/output-key.ts";
import type { Segment } from "../sink/sink.ts";
import {
  type Batch,
  type BsonDocuments,
  type CollectionEnd,
  type DocumentNote,
  type EncodedDocuments,
  type EventBatch,
  incrementOf,
  nameOf,
  type RowBatch,
  rowsSortKey,
  secondsOf,
  type SortKey,
} from "../source/record.ts";
import { type BadDocumentPolicy, badDocumentError, writeQuarantined } from "./bad-documents.ts";
import { type Envelope, type EnvelopeCounts, type LineNote, operationOf } from "./envelope.ts";
import { createEnvelope, type EnvelopeName, ownFieldsOf, type PlatformMessages } from "./envelopes.ts";
import { IdTypes } from "./id-types.ts";
import { countingHidden } from "./own-fields.ts";
import type { Encoded, Encoder, Notes, Omissions } from "./protocol.ts";

export interface LineOptions {
  readonly envelope: EnvelopeName | PlatformMessages;
  readonly transcoding: TranscoderOptions;
  readonly onBadDocument: BadDocumentPolicy;
  /** Of mongotap; some envelopes name it. */
  readonly version: string;
}

/** The buffer is used again by each batch; a batch that fails leaves nothing behind. */
export function createLineEncoder(options: LineOptions): Encoder {
  return new LineEncoder(options);
}

const NEWLINE = 10;

class LineEncoder implements Encoder {
  readonly #policy: BadDocumentPolicy;
  readonly #transcoder;
  readonly #envelope: Envelope;
  readonly #counts: EnvelopeCounts = { deletes: 0, ends: 0 };
  readonly #writer = new JsonWriter();
  readonly #event = new ChangeEvent();
  readonly #segments = new SegmentList();
  readonly #keys = new CollectionKeys();
  readonly #unknownEvents = new Map<string, number>();
  readonly #ended = new Set<string>();
  readonly #hiddenFields = new Map<string, number>();
  readonly #idTypes = new IdTypes();
  readonly #isPlain: boolean;
  readonly #updates: Record<LineNote, number> = { mayBeNewer: 0, deleted: 0, unavailable: 0, notRequested: 0 };
  #badDocuments = 0;
  /** In what workers have encoded, less what was taken back. */
  #invalidUtf8 = 0;

  constructor({ envelope, transcoding, onBadDocument, version }: LineOptions) {
    this.#policy = onBadDocument;
    this.#isPlain = transcoding.format === "plain";
    this.#transcoder = countingHidden(createTranscoder(transcoding), ownFieldsOf(envelope), this.#hiddenFields);
    const quoted = createTranscoder({ ...transcoding, documents: "string" });
    this.#envelope = createEnvelope(envelope, { transcoder: this.#transcoder, quoted, counts: this.#counts, version });
  }

  omissions(): Omissions {
    return {
      ...this.#counts,
      ended: this.#ended,
      updates: this.#updates,
      unknownEvents: this.#unknownEvents,
      invalidUtf8: this.#allInvalidUtf8,
      badDocuments: this.#badDocuments,
      hiddenFields: this.#hiddenFields,
      idsAlike: this.#idTypes.alike(),
    };
  }

  get #allInvalidUtf8(): number {
    return this.#transcoder.counts.invalidUtf8 + this.#invalidUtf8;
  }

  savepoint(): () => void {
    const ended = [...this.#ended];
    const [counts, updates] = [{ ...this.#counts }, { ...this.#updates }];
    const [unknownEvents, hiddenFields] = [[...this.#unknownEvents], [...this.#hiddenFields]];
    const [badDocuments, invalidUtf8, idTypes] = [this.#badDocuments, this.#allInvalidUtf8, this.#idTypes.counts()];
    return () => {
      Object.assign(this.#counts, counts);
      Object.assign(this.#updates, updates);
      this.#ended.clear();
      for (const name of ended) this.#ended.add(name);
      setAll(this.#unknownEvents, unknownEvents);
      setAll(this.#hiddenFields, hiddenFields);
      this.#badDocuments = badDocuments;
      this.#invalidUtf8 += invalidUtf8 - this.#allInvalidUtf8;
      this.#idTypes.set(idTypes);
    };
  }

  takeNotes(): Notes {
    const hiddenFields = [...this.#hiddenFields];
    this.#hiddenFields.clear();
    return { hiddenFields, idTypes: this.#idTypes.take() };
  }

  encode(batch: Batch): Encoded {
    const { documents } = batch;
    if (documents.kind === "encoded") return this.#passOn(documents);
    this.#writer.reset();
    this.#segments.reset();
    this.#transcoder.load(documents.bytes);
    if (batch.kind === "rows") this.#encodeRows(batch, documents);
    else this.#encodeEvents(batch);
    const segments = this.#segments.close(this.#writer.length);
    return { bytes: this.#writer.view(), segments, lines: linesIn(segments) };
  }

  #passOn({ lineBytes, segments, badDocuments, invalidUtf8, hiddenFields, idTypes }: EncodedDocuments): Encoded {
    this.#badDocuments += badDocuments;
    this.#invalidUtf8 += invalidUtf8;
    for (const [field, count] of hiddenFields)
      this.#hiddenFields.set(field, (this.#hiddenFields.get(field) ?? 0) + count);
    for (const [name, type, count] of idTypes) this.#idTypes.add(name, type, count);
    return { bytes: lineBytes, segments, lines: linesIn(segments) };
  }

  #encodeRows({ namespace, at, partition, copy }: RowBatch, { bytes, offsets }: BsonDocuments): void {
    const writer = this.#writer;
    const name = nameOf(namespace);
    const key = outputKeyOf(name, partition);
    const writeRow = this.#envelope.rows({
      namespace,
      order: rowsSortKey(at),
      seconds: secondsOf(at),
      increment: incrementOf(at),
      copy,
    });
    if (this.#isPlain) this.#idTypes.addDocuments(name, bytes, offsets);
    for (const offset of offsets) {
      const begin = writer.length;
      try {
        writeRow(writer, bytes, offset);
        writer.writeByte(NEWLINE);
        this.#segments.add(key, begin);
      } catch (error) {
        this.#refuse(error, { namespace: name, bytes, at: offset, kind: "document" }, begin);
      }
    }
  }

  #encodeEvents({
    documents: { bytes, offsets },
    sortKeys,
    fullDocuments,
    notes,
    ends = [],
    passedOver = [],
  }: EventBatch): void {
    const writer = this.#writer;
    for (const { namespace, bytes: part, reason } of passedOver) {
      const from = { namespace, bytes: part, at: 0, kind: "event" } as const;
      this.#refuse(new MongotapError("data", reason), from, writer.length);
    }
    const event = this.#event;
    let ended = 0;
    for (const [i, offset] of offsets.entries()) {
      const begin = writer.length;
      const key = must(sortKeys[i], "its sort key");
      event.read(bytes, offset);
      const found = fullDocuments?.[i];
      if (found !== undefined) event.complete(found);
      const note = noteOf(event, notes?.[i]);
      if (note !== undefined) this.#updates[note] += 1;
      try {
        const first = ended;
        while (ends[ended]?.sortKey === key) ended += 1;
        if (ended > first) {
          this.#encodeEnds(ends.slice(first, ended), key);
          continue;
        }
        if (!this.#envelope.writeEvent(writer, event, key, note)) {
          this.#noteUnknown(event);
          continue;
        }
        this.#endLine(event.namespace, begin);
        if (this.#isPlain && event.slots.documentKey.isDocument)
          this.#idTypes.addKey(event.namespace, bytes, event.slots.documentKey.begin);
      } catch (error) {
        const whole = event.isCompleted ? completedEvent(event) : event;
        const from = { namespace: event.namespace, bytes: whole.bytes, at: whole.begin, kind: "event" } as const;
        this.#refuse(error, from, begin);
      }
    }
    // In a batch without documents: collections that are copied again.
    for (const end of ends.slice(ended)) {
      const begin = writer.length;
      if (this.#writeEnd(end)) this.#endLine(end.name, begin);
    }
  }

  /**
   * The ends that one event reports, each to the output of its collection. Where an envelope has a line for the event itself,
   * that is the line of the first end.
   */
  #encodeEnds(ends: readonly CollectionEnd[], key: SortKey): void {
    const writer = this.#writer;
    const envelope = this.#envelope;
    for (const [i, end] of ends.entries()) {
      const begin = writer.length;
      const ofServer = end.reason === "replaced" && end.renamedFrom === undefined;
      const isEvent = i === 0 && !ofServer && envelope.writeEvent(writer, this.#event, key, undefined);
      if (isEvent || this.#writeEnd(end)) this.#endLine(end.name, begin);
    }
  }

  /** Returns whether the envelope has a line for it; else its name is kept, if it counts such ends. */
  #writeEnd(end: CollectionEnd): boolean {
    const { ends } = this.#counts;
    const isWritten = this.#envelope.writeEnd(this.#writer, end);
    if (this.#counts.ends > ends) this.#ended.add(end.name);
    return isWritten;
  }

  #endLine(namespace: string, begin: number): void {
    this.#writer.writeByte(NEWLINE);
    this.#segments.add(this.#keys.of(namespace), begin);
  }

  #noteUnknown(event: ChangeEvent): void {
    const { operation } = event;
    // source/invalidation.ts decides what follows from a terminal event.
    if (operationOf(event) !== undefined || TERMINAL_OPERATIONS.has(operation)) return;
    this.#unknownEvents.set(operation, (this.#unknownEvents.get(operation) ?? 0) + 1);
  }

  /** Takes back the half-written line and does what the policy says. */
  #refuse(
    error: unknown,
    from: { namespace: string; bytes: Uint8Array; at: number; kind: "document" | "event" },
    begin: number,
  ): void {
    this.#writer.length = begin;
    if (!(error instanceof MongotapError) || error.kind !== "data") throw error;
    const bad = { ...from, error };
    if (this.#policy === "fail") throw badDocumentError(bad, this.#transcoder);
    this.#badDocuments += 1;
    if (this.#policy === "skip") return;
    writeQuarantined(this.#writer, bad);
    this.#segments.add(QUARANTINE, begin);
  }
}

/** Without a note, an update lacks its document because none was requested. */
function noteOf({ operation, hasDocument }: ChangeEvent, note: DocumentNote | undefined): LineNote | undefined {
  if (note !== undefined || operation !== "update") return note;
  return hasDocument ? undefined : "notRequested";
}

function setAll<K, V>(map: Map<K, V>, entries: readonly (readonly [K, V])[]): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}

function linesIn(segments: readonly Segment[]): number {
  return segments.reduce((sum, { lines }) => sum + lines, 0);
}

/** Collects the lines of a batch as segments. Neighbouring lines with the same key object share one. */
class SegmentList {
  #done: Segment[] = [];
  #key = EVERYTHING;
  #begin = 0;
  #lines = 0;

  reset(): void {
    this.#done = [];
    this.#lines = 0;
  }

  /** Adds the line that begins at `begin`, where the line before it ends. Called for each line: compares by reference. */
  add(key: OutputKey, begin: number): void {
    if (this.#lines > 0 && key !== this.#key) this.#end(begin);
    if (this.#lines === 0) {
      this.#key = key;
      this.#begin = begin;
    }
    this.#lines += 1;
  }

  close(end: number): readonly Segment[] {
    if (this.#lines > 0) this.#end(end);
    return this.#done;
  }

  #end(end: number): void {
    this.#done.push({ key: this.#key, begin: this.#begin, end, lines: this.#lines });
    this.#lines = 0;
  }
}
