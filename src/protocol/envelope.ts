/** What an envelope is, and what several of them write. */

import { ElementWalker } from "../codec/bson.ts";
import type { ChangeEvent, Slot } from "../codec/change-event.ts";
import type { JsonWriter } from "../codec/json-writer.ts";
import type { Transcoder } from "../codec/transcoder.ts";
import type { Namespace, SortKey } from "../source/record.ts";

/** What is true of all rows of one batch. */
export interface RowContext {
  readonly namespace: Namespace;
  /** Sorts behind every event of the time at which the rows are true. */
  readonly order: SortKey;
  /** The time at which the rows are true: seconds since 1970, and the increment within that second. */
  readonly seconds: number;
  readonly increment: number;
}

/** Appends one line without its newline. */
export type RowWriter = (writer: JsonWriter, bytes: Uint8Array, at: number) => void;

/** Says how a line looks around a document. */
export interface Envelope {
  /** What is the same for all rows of a batch is made once, here. */
  rows(row: RowContext): RowWriter;
  /** Appends one line without its newline; returns false, with nothing written, where there is no line for the event. */
  writeEvent(writer: JsonWriter, event: ChangeEvent, order: SortKey): boolean;
}

/** What an envelope left out or could not have; told at the end of a run. */
export interface EnvelopeCounts {
  /** Deletes that an envelope without operations cannot show. */
  deletes: number;
  /** Updates whose document was gone when the server looked it up. */
  missingDocuments: number;
}

/** What envelopes are made of. */
export interface EnvelopeParts {
  readonly transcoder: Transcoder;
  /** Writes a document as a string that holds its JSON. */
  readonly quoted: Transcoder;
  readonly counts: EnvelopeCounts;
  readonly version: string;
}

/** `c`, `u` and `d` as Debezium and Estuary use them; undefined for events that are not about a document. */
export function operationOf(event: ChangeEvent): "c" | "u" | "d" | undefined {
  switch (event.operation) {
    case "insert":
      return "c";
    case "update":
    case "replace":
      return "u";
    case "delete":
      return "d";
    default:
      return undefined;
  }
}

/** JSON text made once and appended often. */
export class Fragment {
  readonly #bytes: Uint8Array;

  constructor(text: string) {
    this.#bytes = encoder.encode(text);
  }

  write(writer: JsonWriter): void {
    writer.writeBytes(this.#bytes, 0, this.#bytes.length);
  }
}

/** `"db":"shop","collection":"orders"` for each name that comes by, made once for each. */
export class SourceFragments {
  readonly #known = new Map<string, Fragment>();

  of(name: string): Fragment {
    let fragment = this.#known.get(name);
    if (!fragment) {
      const dot = name.indexOf(".");
      fragment = new Fragment(sourceText({ db: name.slice(0, dot), collection: name.slice(dot + 1) }));
      if (this.#known.size >= MOST_NAMES) this.#known.clear();
      this.#known.set(name, fragment);
    }
    return fragment;
  }
}

const MOST_NAMES = 10_000;

export function sourceText({ db, collection }: Namespace): string {
  return `"db":${JSON.stringify(db)},"collection":${JSON.stringify(collection)}`;
}

/** The document in `slot`, or `null`. */
export function writeDocumentOrNull(writer: JsonWriter, transcoder: Transcoder, event: ChangeEvent, slot: Slot): void {
  if (slot.isDocument) transcoder.writeDocument(writer, event.bytes, slot.begin);
  else writer.writeAscii("null");
}

/** `{"_id":…}` of a document, `{}` where it has none (views). */
export function writeKeyOf(writer: JsonWriter, transcoder: Transcoder, bytes: Uint8Array, at: number): void {
  walker.start(bytes, at);
  while (walker.next()) {
    if (!walker.nameIs(ID)) continue;
    writer.writeAscii('{"_id":');
    transcoder.writeValue(writer, bytes, walker.type, walker.valueBegin, walker.valueEnd);
    writer.writeAscii("}");
    return;
  }
  writer.writeAscii("{}");
}

const encoder = new TextEncoder();
const ID = encoder.encode("_id");
const walker = new ElementWalker();
