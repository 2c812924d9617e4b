/** `--envelope raw`: the event of the server. A copied document becomes such an event, with operation type `read`. */

import { type Envelope, type EnvelopeParts, Fragment, writeKeyOf, writeNote } from "./envelope.ts";

export function rawEnvelope({ transcoder }: EnvelopeParts): Envelope {
  return {
    rows({ namespace: { db, collection }, seconds, increment }) {
      const time = `{"$timestamp":{"t":${seconds},"i":${increment}}}`;
      const ns = `{"db":${JSON.stringify(db)},"coll":${JSON.stringify(collection)}}`;
      const head = new Fragment(`{"operationType":"read","clusterTime":${time},"ns":${ns},"documentKey":`);
      const middle = new Fragment(',"fullDocument":');
      return (writer, bytes, at) => {
        head.write(writer);
        writeKeyOf(writer, transcoder, bytes, at);
        middle.write(writer);
        transcoder.writeDocument(writer, bytes, at);
        writer.writeAscii("}");
      };
    },
    writeEvent(writer, event, _, note) {
      transcoder.writeDocument(writer, event.bytes, event.begin);
      if (note !== "mayBeNewer") return true;
      writer.length -= 1; // the closing brace
      writeNote(writer, note);
      writer.writeAscii("}");
      return true;
    },
  };
}
