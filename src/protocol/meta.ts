/** `--envelope meta`: the document, or the key of a deleted one, with a field `_meta`; the end of a collection has only that. */

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
  writeBodyMembers,
  writeNote,
  writeTimes,
} from "./envelope.ts";

export function metaEnvelope({ transcoder }: EnvelopeParts): Envelope {
  const heads = headFragments((op, source) => `"_meta":{"op":"${op}","source":{${source}}`);
  return {
    rows({ namespace, order, seconds, copy }) {
      const meta = `"_meta":{"op":"c","source":{${sourceText(namespace)}},"snapshot":true${copyText(copy)},"ts_ms":${seconds * 1000},"order":"${order}"}}`;
      const tail = new Fragment(`,${meta}`);
      const tailOfEmpty = new Fragment(meta);
      return (writer, bytes, at) => {
        writer.writeByte(OPENING_BRACE);
        (transcoder.writeMembers(writer, bytes, at) ? tail : tailOfEmpty).write(writer);
      };
    },
    writeEvent(writer, event, order, note) {
      const op = operationOf(event);
      if (op === undefined) return false;
      const { fullDocumentBeforeChange: before } = event.slots;
      writer.writeByte(OPENING_BRACE);
      if (writeBodyMembers(writer, transcoder, event)) writer.writeAscii(",");
      heads[op].of(event.namespace).write(writer);
      writeNote(writer, note);
      writeTimes(writer, event, order);
      if (before.isDocument) {
        writer.writeAscii(',"before":');
        transcoder.writeDocument(writer, event.bytes, before.begin);
      }
      writer.writeAscii("}}");
      return true;
    },
    writeEnd(writer, end) {
      const source = sourceText(namespaceOf(end.name));
      const text = `{"_meta":{"op":"t","source":{${source}},${reasonText(end)},"ts_ms":${end.ms},"order":"${end.sortKey}"}}`;
      new Fragment(text).write(writer);
      return true;
    },
  };
}

const OPENING_BRACE = 0x7b;
