/**
 * What a line looks like around a document: `none`, `meta`, `change`, `raw` (docs/envelopes.md).
 * Each envelope is a pair of writers, one for rows of a backfill and one for change events.
 */

import { ElementWalker } from "../codec/bson.ts";
import type { ChangeEvent } from "../codec/change-event.ts";
import type { JsonWriter } from "../codec/json-writer.ts";
import type { Transcoder } from "../codec/transcode.ts";
import type { Namespace } from "../source/record.ts";
import type { Omissions } from "./protocol.ts";

export const ENVELOPES = ["none", "meta", "change", "raw"] as const;
export type EnvelopeName = (typeof ENVELOPES)[number];

/** What is true of all rows of one batch. */
export interface RowContext {
  readonly namespace: Namespace;
  /** Sorts behind every event of the time at which the rows are true. */
  readonly order: string;
  readonly seconds: number;
  readonly increment: number;
}

/** Writers append one line without its newline, or nothing (`false`) where the envelope has no line for it. */
export interface Envelope {
  writeRow(writer: JsonWriter, bytes: Uint8Array, at: number, row: RowContext): boolean;
  writeEvent(writer: JsonWriter, event: ChangeEvent, order: string): boolean;
}

const OPERATION: Readonly<Record<string, string>> = { insert: "c", update: "u", replace: "u", delete: "d" };

export function createEnvelope(name: EnvelopeName, transcoder: Transcoder, omissions: Omissions): Envelope {
  switch (name) {
    case "none":
      return bare(transcoder, omissions);
    case "meta":
      return meta(transcoder, omissions);
    case "change":
      return change(transcoder, omissions);
    case "raw":
      return raw(transcoder);
  }
}

/** The document and nothing else; of changes the document after them. */
function bare(transcoder: Transcoder, omissions: Omissions): Envelope {
  return {
    writeRow(writer, bytes, at) {
      transcoder.writeDocument(writer, bytes, at);
      return true;
    },
    writeEvent(writer, event) {
      const { fullDocument } = event.slots;
      if (fullDocument.isDocument) {
        transcoder.writeDocument(writer, event.bytes, fullDocument.begin);
        return true;
      }
      if (event.operation === "delete") omissions.deletes += 1;
      else if (event.operation === "update") omissions.missingDocuments += 1;
      return false;
    },
  };
}

/** The document (of a delete its key) with one more field `_meta`. */
function meta(transcoder: Transcoder, omissions: Omissions): Envelope {
  const open = (writer: JsonWriter, hasMembers: boolean, op: string): void => {
    writer.writeAscii(hasMembers ? ',"_meta":{"op":"' : '"_meta":{"op":"');
    writer.writeAscii(op);
    writer.writeAscii('"');
  };
  return {
    writeRow(writer, bytes, at, row) {
      writer.writeAscii("{");
      open(writer, transcoder.writeMembers(writer, bytes, at), "c");
      writeSource(writer, row.namespace);
      writer.writeAscii(`,"snapshot":true,"ts_ms":${row.seconds * 1000},"order":"${row.order}"}}`);
      return true;
    },
    writeEvent(writer, event, order) {
      const op = OPERATION[event.operation];
      if (op === undefined) return false;
      const { fullDocument, documentKey } = event.slots;
      const body = fullDocument.isDocument ? fullDocument : documentKey;
      writer.writeAscii("{");
      open(writer, transcoder.writeMembers(writer, event.bytes, body.begin), op);
      writeSource(writer, splitName(event.namespace));
      if (op === "u" && !fullDocument.isDocument) {
        omissions.missingDocuments += 1;
        writer.writeAscii(',"missing":true');
      }
      writer.writeAscii(`,"ts_ms":${event.wallTimeMs},"order":"${order}"`);
      writeBefore(writer, transcoder, event);
      writer.writeAscii("}}");
      return true;
    },
  };
}

/** Operation, key, document and update description side by side. */
function change(transcoder: Transcoder, omissions: Omissions): Envelope {
  return {
    writeRow(writer, bytes, at, row) {
      writer.writeAscii('{"op":"c"');
      writeSource(writer, row.namespace);
      writer.writeAscii(',"key":');
      writeKeyOf(writer, transcoder, bytes, at);
      writer.writeAscii(',"document":');
      transcoder.writeDocument(writer, bytes, at);
      writer.writeAscii(`,"snapshot":true,"ts_ms":${row.seconds * 1000},"order":"${row.order}"}`);
      return true;
    },
    writeEvent(writer, event, order) {
      const op = OPERATION[event.operation];
      if (op === undefined) return false;
      const { documentKey, fullDocument, updateDescription } = event.slots;
      writer.writeAscii(`{"op":"${op}"`);
      writeSource(writer, splitName(event.namespace));
      writer.writeAscii(',"key":');
      transcoder.writeDocument(writer, event.bytes, documentKey.begin);
      writer.writeAscii(',"document":');
      if (fullDocument.isDocument) transcoder.writeDocument(writer, event.bytes, fullDocument.begin);
      else writer.writeAscii("null");
      if (op === "u" && !fullDocument.isDocument) omissions.missingDocuments += 1;
      if (updateDescription.isDocument) {
        writer.writeAscii(',"update":');
        transcoder.writeDocument(writer, event.bytes, updateDescription.begin);
      }
      writeBefore(writer, transcoder, event);
      writer.writeAscii(`,"ts_ms":${event.wallTimeMs},"order":"${order}"}`);
      return true;
    },
  };
}

/** The server's own event; rows of a backfill are shaped like one, with the operation type `read`. */
function raw(transcoder: Transcoder): Envelope {
  return {
    writeRow(writer, bytes, at, row) {
      const { db, collection } = row.namespace;
      writer.writeAscii(
        `{"operationType":"read","clusterTime":{"$timestamp":{"t":${row.seconds},"i":${row.increment}}},"ns":{"db":`,
      );
      writer.writeString(db);
      writer.writeAscii(',"coll":');
      writer.writeString(collection);
      writer.writeAscii('},"documentKey":');
      writeKeyOf(writer, transcoder, bytes, at);
      writer.writeAscii(',"fullDocument":');
      transcoder.writeDocument(writer, bytes, at);
      writer.writeAscii("}");
      return true;
    },
    writeEvent(writer, event) {
      transcoder.writeDocument(writer, event.bytes, event.begin);
      return true;
    },
  };
}

function writeSource(writer: JsonWriter, { db, collection }: Namespace): void {
  writer.writeAscii(',"source":{"db":');
  writer.writeString(db);
  writer.writeAscii(',"collection":');
  writer.writeString(collection);
  writer.writeAscii("}");
}

function writeBefore(writer: JsonWriter, transcoder: Transcoder, event: ChangeEvent): void {
  const { fullDocumentBeforeChange } = event.slots;
  if (!fullDocumentBeforeChange.isDocument) return;
  writer.writeAscii(',"before":');
  transcoder.writeDocument(writer, event.bytes, fullDocumentBeforeChange.begin);
}

function splitName(name: string): Namespace {
  const dot = name.indexOf(".");
  return { db: name.slice(0, dot), collection: name.slice(dot + 1) };
}

const ID = new TextEncoder().encode("_id");
const walker = new ElementWalker();

/** `{"_id":…}` of a document, `{}` where it has none (views). The server puts `_id` first where there is one. */
function writeKeyOf(writer: JsonWriter, transcoder: Transcoder, bytes: Uint8Array, at: number): void {
  const id = idSlotOf(bytes, at);
  if (!id) {
    writer.writeAscii("{}");
    return;
  }
  writer.writeAscii('{"_id":');
  transcoder.writeValue(writer, bytes, id.type, id.begin, id.end);
  writer.writeAscii("}");
}

function idSlotOf(bytes: Uint8Array, at: number): { type: number; begin: number; end: number } | undefined {
  walker.start(bytes, at);
  while (walker.next()) {
    if (walker.nameIs(ID)) return { type: walker.type, begin: walker.valueBegin, end: walker.valueEnd };
  }
  return undefined;
}
