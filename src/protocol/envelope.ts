/** The contract of an envelope, and what several envelopes write. */

import { ElementWalker } from "../codec/bson.ts";
import type { ChangeEvent, Slot } from "../codec/change-event.ts";
import type { JsonWriter } from "../codec/json-writer.ts";
import type { Transcoder } from "../codec/transcoder.ts";
import { must } from "../errors.ts";
import type { CollectionEnd, DocumentNote, Namespace, SortKey } from "../source/record.ts";

/** What all copied documents of one batch have in common. */
export interface RowContext {
  readonly namespace: Namespace;
  /** The sort key: it sorts after every event of the cluster time at which the documents are true. */
  readonly order: SortKey;
  /** The cluster time at which the documents are true: seconds since 1970, and the increment within that second. */
  readonly seconds: number;
  readonly increment: number;
  /** The number of the copy; undefined: the first, which lines do not name. */
  readonly copy: number | undefined;
}

/** Appends the line of the document at `at`, without its newline. Throws MongotapError("data") if it cannot be carried. */
export type RowWriter = (writer: JsonWriter, bytes: Uint8Array, at: number) => void;

/** The shape of a line around its document. */
export interface Envelope {
  /** Returns the writer of the documents of a batch, which reuses what they have in common. */
  rows(row: RowContext): RowWriter;
  /**
   * Appends the line of an event, without its newline. Returns false, with nothing written, if the envelope has no line
   * for it. `order` is the sort key, `note` what is to be said about the document of an update. Throws
   * MongotapError("data") if the event cannot be carried.
   */
  writeEvent(writer: JsonWriter, event: ChangeEvent, order: SortKey, note: LineNote | undefined): boolean;
  /** Appends the line that says that a collection has ended, without its newline. Returns false as `writeEvent` does. */
  writeEnd(writer: JsonWriter, end: CollectionEnd): boolean;
}

/** About the document of an update: that of the source, or `notRequested` (--full-document none). */
export type LineNote = DocumentNote | "notRequested";

/** The words for it in a line: why there is no document. `mayBeNewer` has a document, and a field of its own. */
export const MISSING: Readonly<Record<Exclude<LineNote, "mayBeNewer">, string>> = {
  deleted: "deleted",
  unavailable: "unavailable",
  notRequested: "not_requested",
};

/** Counts of what an envelope omitted; reported at the end of a run. */
export interface EnvelopeCounts {
  /** Deletes that an envelope without operations cannot show. */
  deletes: number;
  /** Ends of collections that an envelope without operations cannot show. */
  ends: number;
}

/** The parts that an envelope uses. `version` is that of mongotap. */
export interface EnvelopeParts {
  readonly transcoder: Transcoder;
  /** Writes documents as strings that hold their JSON. */
  readonly quoted: Transcoder;
  readonly counts: EnvelopeCounts;
  readonly version: string;
}

/** As in Debezium and Estuary. */
export type Op = "c" | "u" | "d";

/** Undefined for events that do not change one document. */
export function operationOf(event: ChangeEvent): Op | undefined {
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

/** Text that is encoded once and appended often. */
export class Fragment {
  readonly #bytes: Uint8Array;

  constructor(text: string) {
    this.#bytes = encoder.encode(text);
  }

  write(writer: JsonWriter): void {
    writer.writeBytes(this.#bytes, 0, this.#bytes.length);
  }
}

/** A fragment for each namespace, cached up to MAX_FRAGMENTS. */
export class NamespaceFragments {
  readonly #textOf: (source: string) => string;
  readonly #known = new Map<string, Fragment>();

  /** `textOf` makes the text of a fragment from `"db":"shop","collection":"orders"`. */
  constructor(textOf: (source: string) => string) {
    this.#textOf = textOf;
  }

  /** `name` is `db.collection`. */
  of(name: string): Fragment {
    let fragment = this.#known.get(name);
    if (!fragment) {
      fragment = new Fragment(this.#textOf(sourceText(namespaceOf(name))));
      if (this.#known.size >= MAX_FRAGMENTS) this.#known.clear();
      this.#known.set(name, fragment);
    }
    return fragment;
  }
}

const MAX_FRAGMENTS = 10_000;

/** Fragments for each operation and namespace. `textOf` makes their text; `source` as in NamespaceFragments. */
export function headFragments(textOf: (op: Op, source: string) => string): Readonly<Record<Op, NamespaceFragments>> {
  const of = (op: Op): NamespaceFragments => new NamespaceFragments((source) => textOf(op, source));
  return { c: of("c"), u: of("u"), d: of("d") };
}

/** Appends `,"ts_ms":…,"order":"…"` of an event. */
export function writeTimes(writer: JsonWriter, event: ChangeEvent, order: SortKey): void {
  writer.writeAscii(',"ts_ms":');
  writer.writeInteger(event.wallTimeMs);
  writer.writeAscii(',"order":"');
  writer.writeAscii(order);
  writer.writeAscii('"');
}

/** `name` is `db.collection`. */
export function namespaceOf(name: string): Namespace {
  const dot = name.indexOf(".");
  return { db: name.slice(0, dot), collection: name.slice(dot + 1) };
}

/** `"db":"shop","collection":"orders"`, as the inside of a JSON object. */
export function sourceText({ db, collection }: Namespace): string {
  return `"db":${JSON.stringify(db)},"collection":${JSON.stringify(collection)}`;
}

/** `,"copy":2` for the rows of a copy that replaces another; empty for those of the first. */
export function copyText(copy: number | undefined): string {
  return copy === undefined ? "" : `,"copy":${copy}`;
}

/** `"reason":"renamed","to":{"db":"shop","collection":"old_orders"}`, as the inside of a JSON object. */
export function reasonText({ reason, renamedTo }: CollectionEnd): string {
  const to = renamedTo === undefined ? "" : `,"to":{${sourceText(namespaceOf(renamedTo))}}`;
  return `"reason":${JSON.stringify(reason)}${to}`;
}

/** Writes `,"missing":…` where an update has no document, `,"exact":false` where its document may be newer, or nothing. */
export function writeNote(writer: JsonWriter, note: LineNote | undefined): void {
  if (note === undefined) return;
  writer.writeAscii(note === "mayBeNewer" ? ',"exact":false' : `,"missing":"${MISSING[note]}"`);
}

/** Writes the document in `slot`, or `null`. */
export function writeDocumentOrNull(writer: JsonWriter, transcoder: Transcoder, event: ChangeEvent, slot: Slot): void {
  if (slot.isDocument) transcoder.writeDocument(writer, event.bytes, slot.begin);
  else writer.writeAscii("null");
}

/** Writes the members of the document of an event or, without one, of its key. Returns whether it has written any. */
export function writeBodyMembers(writer: JsonWriter, transcoder: Transcoder, event: ChangeEvent): boolean {
  if (event.hasDocument) return transcoder.writeMembers(writer, event.documentBytes, event.documentBegin);
  return transcoder.writeMembers(writer, event.bytes, event.slots.documentKey.begin);
}

/** Writes `{"_id":…}` of the document at `at`; `{}` if it has no `_id`, as in some views. */
export function writeKeyOf(writer: JsonWriter, transcoder: Transcoder, bytes: Uint8Array, at: number): void {
  writer.writeAscii("{");
  writeIdMember(writer, transcoder, bytes, at);
  writer.writeAscii("}");
}

/** Writes `"_id":…` of the document at `at`. Returns false, with nothing written, if it has no `_id`, as in some views. */
export function writeIdMember(writer: JsonWriter, transcoder: Transcoder, bytes: Uint8Array, at: number): boolean {
  walker.start(bytes, at);
  while (walker.next()) {
    if (!walker.nameIs(ID_NAME)) continue;
    writer.writeAscii('"_id":');
    transcoder.writeValue(writer, bytes, walker.type, walker.valueBegin, walker.valueEnd);
    return true;
  }
  return false;
}

/** ISO 8601 texts of times in ms since 1970; neighbouring lines tend to have the same time. */
export class IsoTimes {
  #ms = Number.NaN;
  #text = "";

  of(ms: number): string {
    if (ms !== this.#ms) {
      this.#ms = ms;
      this.#text = new Date(ms).toISOString();
    }
    return this.#text;
  }
}

/** The fragment of a stream of the platform. Throws MongotapError("bug") for a collection that is none of them. */
export function fragmentOf(fragments: ReadonlyMap<string, Fragment>, name: string): Fragment {
  return must(fragments.get(name), `the stream of ${name}`);
}

const encoder = new TextEncoder();
const ID_NAME = encoder.encode("_id");
const walker = new ElementWalker();
