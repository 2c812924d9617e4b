/**
 * Singer's RECORD messages. The end of a collection is an ACTIVATE_VERSION: targets delete the rows of earlier versions.
 * https://github.com/singer-io/getting-started/blob/master/docs/SPEC.md
 */

import type { DocumentAt } from "../codec/bson.ts";
import type { ChangeEvent } from "../codec/change-event.ts";
import type { JsonWriter } from "../codec/json-writer.ts";
import { type ExcludedFields, Projection } from "../codec/projection.ts";
import { must } from "../errors.ts";
import { incrementOf, nameOf, secondsOf, type SortKey, sortKeyTime } from "../source/record.ts";
import { type Envelope, type EnvelopeParts, Fragment, IsoTimes, operationOf, writeIdMember } from "./envelope.ts";

export interface SingerRecords {
  readonly kind: "singer";
  /** By `db.collection`. */
  readonly streams: ReadonlyMap<string, SingerStream>;
}

export interface SingerStream {
  readonly stream: string;
  /** Of the rows of its latest copy. The end of a collection raises it, so the object belongs to one thread. */
  version: number;
  /** The fields that are not selected. */
  readonly excluded: ExcludedFields;
  /** The names of all selected fields, where fields that the catalog does not have are left out; absent: they are sent. */
  readonly only?: readonly string[];
  /** Its changes are read: its records have the column DELETED_AT. */
  readonly hasChanges: boolean;
  /** `fields`: a property for each field of a document. `data`: `_id`, and the document in one property. */
  readonly columns: "fields" | "data";
}

export const DELETED_AT = "_sdc_deleted_at";

export function singerEnvelope({ streams }: SingerRecords, { transcoder }: EnvelopeParts): Envelope {
  const times = new IsoTimes();
  const parts = new Map([...streams].map(([name, stream]) => [name, new StreamParts(stream)]));
  const partsOf = (name: string): StreamParts => must(parts.get(name), `the stream of ${name}`);

  function writeDocument(writer: JsonWriter, own: StreamParts, bytes: Uint8Array, at: number): boolean {
    const document = own.project(bytes, at);
    if (own.stream.columns === "fields") return transcoder.writeMembers(writer, document.bytes, document.begin);
    if (writeIdMember(writer, transcoder, bytes, at)) writer.writeAscii(",");
    writer.writeAscii('"data":');
    transcoder.writeDocument(writer, document.bytes, document.begin);
    return true;
  }

  /** In a sharded collection the key has more fields than `_id`. */
  function writeKey(writer: JsonWriter, own: StreamParts, { bytes, slots }: ChangeEvent): boolean {
    const { begin } = slots.documentKey;
    if (own.stream.columns === "data") return writeIdMember(writer, transcoder, bytes, begin);
    const key = own.project(bytes, begin);
    return transcoder.writeMembers(writer, key.bytes, key.begin);
  }

  return {
    rows({ namespace, seconds }) {
      const own = partsOf(nameOf(namespace));
      const tail = own.tail(times.of(seconds * 1000), false);
      return (writer, bytes, at) => {
        own.head.write(writer);
        if (writeDocument(writer, own, bytes, at)) writer.writeAscii(own.separator);
        writer.writeAscii(tail);
      };
    },
    writeEvent(writer, event) {
      const op = operationOf(event);
      const isDeletion = op === "d";
      // A row without its document would overwrite that of the target with nulls; a deletion follows.
      if (op === undefined || (!isDeletion && !event.hasDocument)) return false;
      const own = partsOf(event.namespace);
      own.head.write(writer);
      const isWritten = isDeletion
        ? writeKey(writer, own, event)
        : writeDocument(writer, own, event.documentBytes, event.documentBegin);
      if (isWritten) writer.writeAscii(own.separator);
      writer.writeAscii(own.tail(times.of(event.wallTimeMs), isDeletion));
      return true;
    },
    writeEnd(writer, { name, sortKey }) {
      const { stream } = partsOf(name);
      stream.version = Math.max(versionAt(sortKey), stream.version + 1);
      new Fragment(activateVersion(stream)).write(writer);
      return true;
    },
  };
}

/** The message, without a newline, that makes the rows of earlier versions void. */
export function activateVersion({ stream, version }: Pick<SingerStream, "stream" | "version">): string {
  return JSON.stringify({ type: "ACTIVATE_VERSION", stream, version });
}

/** A version for what comes behind this time: greater than that of any earlier time. */
export function versionAt(key: SortKey): number {
  const time = sortKeyTime(key);
  return secondsOf(time) * 2 ** 20 + Math.min(incrementOf(time), 2 ** 20 - 1);
}

/** A version for a copy that begins now. */
export function versionOfNow(): number {
  return Math.floor(Date.now() / 1000) * 2 ** 20;
}

/** The parts of the messages of one stream. */
class StreamParts {
  readonly stream: SingerStream;
  readonly head: Fragment;
  /** Between the fields of the document and what follows. */
  readonly separator: string;
  readonly #projection: Projection;

  constructor(stream: SingerStream) {
    this.stream = stream;
    this.head = new Fragment(`{"type":"RECORD","stream":${JSON.stringify(stream.stream)},"record":{`);
    this.separator = stream.hasChanges ? "," : "";
    this.#projection = new Projection(stream.excluded, stream.only);
  }

  project(bytes: Uint8Array, at: number): DocumentAt {
    return this.#projection.apply(bytes, at);
  }

  tail(time: string, isDeletion: boolean): string {
    const { hasChanges, version } = this.stream;
    const column = hasChanges ? `"${DELETED_AT}":${isDeletion ? `"${time}"` : "null"}` : "";
    return `${column}},"version":${version},"time_extracted":"${time}"}`;
  }
}
