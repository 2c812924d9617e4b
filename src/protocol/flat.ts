/**
 * `--envelope flat`: the document, or of a delete its key, with `__deleted`, `__op`, `_ts_ms` and `_offset` beside its
 * own fields, as Streamkap's metadata columns.
 */

import { type Envelope, type EnvelopeParts, Fragment, operationOf } from "./envelope.ts";

/** Of an update whose document was gone when the server looked it up: only the key is known. */
const MISSING = ',"__missing":true';

export function flatEnvelope({ transcoder, counts }: EnvelopeParts): Envelope {
  return {
    rows({ order, seconds }) {
      const fields = `"__deleted":false,"__op":"r","_ts_ms":${seconds * 1000},"_offset":"${order}"}`;
      const behind = new Fragment(`,${fields}`);
      const alone = new Fragment(fields);
      return (writer, bytes, at) => {
        writer.writeAscii("{");
        (transcoder.writeMembers(writer, bytes, at) ? behind : alone).write(writer);
      };
    },
    writeEvent(writer, event, order) {
      const op = operationOf(event);
      if (op === undefined) return false;
      const { fullDocument, documentKey } = event.slots;
      const body = fullDocument.isDocument ? fullDocument : documentKey;
      const isMissing = op === "u" && !fullDocument.isDocument;
      if (isMissing) counts.missingDocuments += 1;
      writer.writeAscii("{");
      if (transcoder.writeMembers(writer, event.bytes, body.begin)) writer.writeAscii(",");
      writer.writeAscii(
        `"__deleted":${op === "d"},"__op":"${op}","_ts_ms":${event.wallTimeMs},"_offset":"${order}"${isMissing ? MISSING : ""}}`,
      );
      return true;
    },
  };
}
