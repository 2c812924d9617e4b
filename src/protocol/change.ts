/** `--envelope change`: operation, key, document, update description and pre-image as separate fields. */

import {
  copyText,
  type Envelope,
  type EnvelopeParts,
  Fragment,
  headFragments,
  namespaceOf,
  operationOf,
  reasonText,
  sourceText,
  writeDocumentOrNull,
  writeKeyOf,
  writeNote,
  writeTimes,
} from "./envelope.ts";

export function changeEnvelope({ transcoder }: EnvelopeParts): Envelope {
  const heads = headFragments((op, source) => `{"op":"${op}","source":{${source}},"key":`);
  return {
    rows({ namespace, order, seconds, copy }) {
      const head = new Fragment(`{"op":"c","source":{${sourceText(namespace)}},"key":`);
      const middle = new Fragment(',"document":');
      const tail = new Fragment(`,"snapshot":true${copyText(copy)},"ts_ms":${seconds * 1000},"order":"${order}"}`);
      return (writer, bytes, at) => {
        head.write(writer);
        writeKeyOf(writer, transcoder, bytes, at);
        middle.write(writer);
        transcoder.writeDocument(writer, bytes, at);
        tail.write(writer);
      };
    },
    writeEvent(writer, event, order, note) {
      const op = operationOf(event);
      if (op === undefined) return false;
      const { documentKey, updateDescription, fullDocumentBeforeChange: before } = event.slots;
      heads[op].of(event.namespace).write(writer);
      writeDocumentOrNull(writer, transcoder, event, documentKey);
      writer.writeAscii(',"document":');
      if (event.hasDocument) transcoder.writeDocument(writer, event.documentBytes, event.documentBegin);
      else writer.writeAscii("null");
      writeNote(writer, note);
      if (updateDescription.isDocument) {
        writer.writeAscii(',"update":');
        transcoder.writeDocument(writer, event.bytes, updateDescription.begin);
      }
      if (before.isDocument) {
        writer.writeAscii(',"before":');
        transcoder.writeDocument(writer, event.bytes, before.begin);
      }
      writeTimes(writer, event, order);
      writer.writeAscii("}");
      return true;
    },
    writeEnd(writer, end) {
      const source = sourceText(namespaceOf(end.name));
      const text = `{"op":"t","source":{${source}},"key":null,"document":null,${reasonText(end)},"ts_ms":${end.ms},"order":"${end.sortKey}"}`;
      new Fragment(text).write(writer);
      return true;
    },
  };
}
