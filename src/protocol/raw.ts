/**
 * `--envelope raw`: the event of the server. A copied document becomes such an event, with operation type `read`; so does an
 * end of a collection that has no event of its own, with operation type `truncate`.
 */

import { incrementOf, type Namespace, secondsOf, sortKeyTime } from "../source/record.ts";
import { completedEvent } from "../codec/completed-event.ts";
import {
  copyText,
  type Envelope,
  type EnvelopeParts,
  Fragment,
  namespaceOf,
  reasonText,
  writeKeyOf,
  writeNote,
} from "./envelope.ts";

export function rawEnvelope({ transcoder }: EnvelopeParts): Envelope {
  return {
    rows({ namespace, seconds, increment, copy }) {
      const head = new Fragment(`{${headText("read", seconds, increment, namespace)},"documentKey":`);
      const middle = new Fragment(',"fullDocument":');
      const tail = new Fragment(`${copyText(copy)}}`);
      return (writer, bytes, at) => {
        head.write(writer);
        writeKeyOf(writer, transcoder, bytes, at);
        middle.write(writer);
        transcoder.writeDocument(writer, bytes, at);
        tail.write(writer);
      };
    },
    writeEvent(writer, event, _, note) {
      const { bytes, begin } = event.isCompleted ? completedEvent(event) : event;
      transcoder.writeDocument(writer, bytes, begin);
      if (note !== "mayBeNewer") return true;
      writer.length -= 1; // the closing brace
      writeNote(writer, note);
      writer.writeAscii("}");
      return true;
    },
    writeEnd(writer, end) {
      const { name, sortKey } = end;
      const time = sortKeyTime(sortKey);
      const head = headText("truncate", secondsOf(time), incrementOf(time), namespaceOf(name));
      new Fragment(`{${head},${reasonText(end)}}`).write(writer);
      return true;
    },
  };
}

function headText(type: string, seconds: number, increment: number, { db, collection }: Namespace): string {
  const time = `{"$timestamp":{"t":${seconds},"i":${increment}}}`;
  const ns = `{"db":${JSON.stringify(db)},"coll":${JSON.stringify(collection)}}`;
  return `"operationType":"${type}","clusterTime":${time},"ns":${ns}`;
}
