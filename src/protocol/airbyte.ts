/**
 * Airbyte's RECORD messages: the document as columns, or as one column `data`, with the columns of its own database sources.
 * There is no message for the end of a collection: the ends are counted.
 * https://docs.airbyte.com/understanding-airbyte/airbyte-protocol#airbyterecordmessage
 */

import type { ChangeEvent } from "../codec/change-event.ts";
import type { JsonWriter } from "../codec/json-writer.ts";
import type { SortKey } from "../source/record.ts";
import {
  type Envelope,
  type EnvelopeParts,
  Fragment,
  IsoTimes,
  fragmentOf,
  operationOf,
  writeIdMember,
} from "./envelope.ts";

/** Plain data, which is sent to workers. */
export interface AirbyteRecords {
  readonly kind: "airbyte";
  /** By `db.collection`. */
  readonly streams: ReadonlyMap<string, StreamDescriptor>;
  /** `fields`: one column for each field of a document. `data`: `_id`, and the document in one column. */
  readonly columns: "fields" | "data";
}

/** How a catalog names a stream. */
export interface StreamDescriptor {
  readonly name: string;
  readonly namespace?: string;
}

/** The columns beside those of the document. The cursor sorts in commit order. */
export const AIRBYTE_COLUMNS = ["_ab_cdc_cursor", "_ab_cdc_updated_at", "_ab_cdc_deleted_at"] as const;

export function airbyteEnvelope({ streams, columns }: AirbyteRecords, { transcoder, counts }: EnvelopeParts): Envelope {
  const times = new IsoTimes();
  const heads = new Map([...streams].map(([name, stream]) => [name, headOf(stream)]));
  const hasData = columns === "data";

  function begin(writer: JsonWriter, name: string): void {
    fragmentOf(heads, name).write(writer);
    writer.writeInteger(Date.now());
    writer.writeAscii(',"data":{');
  }

  function writeDocument(writer: JsonWriter, bytes: Uint8Array, at: number): void {
    if (!hasData) {
      if (transcoder.writeMembers(writer, bytes, at)) writer.writeByte(COMMA);
      return;
    }
    if (writeIdMember(writer, transcoder, bytes, at)) writer.writeByte(COMMA);
    writer.writeAscii('"data":');
    transcoder.writeDocument(writer, bytes, at);
    writer.writeByte(COMMA);
  }

  /** The key alone: the other columns are null in the destination. */
  function writeKey(writer: JsonWriter, event: ChangeEvent): void {
    const { documentKey } = event.slots;
    const { begin: at } = documentKey;
    const hasMembers = hasData
      ? writeIdMember(writer, transcoder, event.bytes, at)
      : transcoder.writeMembers(writer, event.bytes, at);
    if (hasMembers) writer.writeByte(COMMA);
  }

  return {
    rows({ namespace, order, seconds }) {
      const name = `${namespace.db}.${namespace.collection}`;
      const tail = new Fragment(`${columnsText(order, times.of(seconds * 1000), false)}}}}`);
      return (writer, bytes, at) => {
        begin(writer, name);
        writeDocument(writer, bytes, at);
        tail.write(writer);
      };
    },
    writeEvent(writer, event, order) {
      const op = operationOf(event);
      // A row without its document would overwrite that of the destination with nulls; a deletion follows.
      if (op === undefined || (op !== "d" && !event.hasDocument)) return false;
      begin(writer, event.namespace);
      if (op === "d") writeKey(writer, event);
      else writeDocument(writer, event.documentBytes, event.documentBegin);
      writer.writeAscii(columnsText(order, times.of(event.wallTimeMs), op === "d"));
      writer.writeAscii("}}}");
      return true;
    },
    writeEnd() {
      counts.ends += 1;
      return false;
    },
  };
}

const COMMA = 0x2c;

function headOf({ name, namespace }: StreamDescriptor): Fragment {
  const of = namespace === undefined ? "" : `,"namespace":${JSON.stringify(namespace)}`;
  return new Fragment(`{"type":"RECORD","record":{"stream":${JSON.stringify(name)}${of},"emitted_at":`);
}

function columnsText(order: SortKey, time: string, isDeletion: boolean): string {
  const [cursor, updated, deleted] = AIRBYTE_COLUMNS;
  return `"${cursor}":"${order}","${updated}":"${time}","${deleted}":${isDeletion ? `"${time}"` : "null"}`;
}
