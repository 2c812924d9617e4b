/**
 * `--envelope flat`: the document, or the key of a deleted one, with the fields `__deleted`, `__op`, `_ts_ms` and `_offset`,
 * like Streamkap's metadata columns. The end of a collection names it: no other line does.
 */

import {
  type Envelope,
  type EnvelopeParts,
  Fragment,
  type LineNote,
  MISSING,
  operationOf,
  writeBodyMembers,
} from "./envelope.ts";

export function flatEnvelope({ transcoder }: EnvelopeParts): Envelope {
  return {
    rows({ order, seconds, copy }) {
      const fields = `"__deleted":false,"__op":"r","_ts_ms":${seconds * 1000},"_offset":"${order}"${copy === undefined ? "" : `,"__copy":${copy}`}}`;
      const tail = new Fragment(`,${fields}`);
      const tailOfEmpty = new Fragment(fields);
      return (writer, bytes, at) => {
        writer.writeAscii("{");
        (transcoder.writeMembers(writer, bytes, at) ? tail : tailOfEmpty).write(writer);
      };
    },
    writeEvent(writer, event, order, note) {
      const op = operationOf(event);
      if (op === undefined) return false;
      writer.writeAscii("{");
      if (writeBodyMembers(writer, transcoder, event)) writer.writeAscii(",");
      writer.writeAscii(
        `"__deleted":${op === "d"},"__op":"${op}","_ts_ms":${event.wallTimeMs},"_offset":"${order}"${noteField(note)}}`,
      );
      return true;
    },
    writeEnd(writer, { name, reason, renamedTo, ms, sortKey }) {
      const to = renamedTo === undefined ? "" : `,"__to":${JSON.stringify(renamedTo)}`;
      const what = `"__collection":${JSON.stringify(name)},"__reason":${JSON.stringify(reason)}${to}`;
      const text = `{"__deleted":false,"__op":"t",${what},"_ts_ms":${ms},"_offset":"${sortKey}"}`;
      new Fragment(text).write(writer);
      return true;
    },
  };
}

/** For an update without a document, whose line has its key alone, or with one that may be newer. */
function noteField(note: LineNote | undefined): string {
  if (note === undefined) return "";
  return note === "mayBeNewer" ? ',"__exact":false' : `,"__missing":"${MISSING[note]}"`;
}
