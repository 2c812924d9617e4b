/** `--envelope none`: the document alone; for a change, the document after it. Deletes and ends of collections have no line. */

import type { Envelope, EnvelopeParts } from "./envelope.ts";

export function bareEnvelope({ transcoder, counts }: EnvelopeParts): Envelope {
  return {
    rows: () => (writer, bytes, at) => transcoder.writeDocument(writer, bytes, at),
    writeEvent(writer, event) {
      if (event.hasDocument) {
        transcoder.writeDocument(writer, event.documentBytes, event.documentBegin);
        return true;
      }
      if (event.operation === "delete") counts.deletes += 1;
      return false;
    },
    writeEnd() {
      counts.ends += 1;
      return false;
    },
  };
}
