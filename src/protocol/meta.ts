/** `--envelope meta`: the document, or of a delete its key, with one more field `_meta`. */

import { type Envelope, type EnvelopeParts, Fragment, operationOf, SourceFragments, sourceText } from "./envelope.ts";

export function metaEnvelope({ transcoder, counts }: EnvelopeParts): Envelope {
  const sources = new SourceFragments();
  return {
    rows({ namespace, order, seconds }) {
      const meta = `"_meta":{"op":"c","source":{${sourceText(namespace)}},"snapshot":true,"ts_ms":${seconds * 1000},"order":"${order}"}}`;
      const behind = new Fragment(`,${meta}`);
      const alone = new Fragment(meta);
      return (writer, bytes, at) => {
        writer.writeByte(OPEN);
        (transcoder.writeMembers(writer, bytes, at) ? behind : alone).write(writer);
      };
    },
    writeEvent(writer, event, order) {
      const op = operationOf(event);
      if (op === undefined) return false;
      const { fullDocument, documentKey, fullDocumentBeforeChange: before } = event.slots;
      const body = fullDocument.isDocument ? fullDocument : documentKey;
      writer.writeByte(OPEN);
      if (transcoder.writeMembers(writer, event.bytes, body.begin)) writer.writeAscii(",");
      writer.writeAscii(`"_meta":{"op":"${op}","source":{`);
      sources.of(event.namespace).write(writer);
      writer.writeAscii("}");
      if (op === "u" && !fullDocument.isDocument) {
        counts.missingDocuments += 1;
        writer.writeAscii(',"missing":true');
      }
      writer.writeAscii(`,"ts_ms":${event.wallTimeMs},"order":"${order}"`);
      if (before.isDocument) {
        writer.writeAscii(',"before":');
        transcoder.writeDocument(writer, event.bytes, before.begin);
      }
      writer.writeAscii("}}");
      return true;
    },
  };
}

const OPEN = 0x7b;
