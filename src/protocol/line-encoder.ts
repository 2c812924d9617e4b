/** Batches to NDJSON: one envelope around each document, one buffer for all, and which lines belong to which collection. */

import { ChangeEvent } from "../codec/change-event.ts";
import { JsonWriter } from "../codec/json-writer.ts";
import { createTranscoder, type TranscoderOptions } from "../codec/transcode.ts";
import { type EventBatch, nameOf, type RowBatch } from "../source/record.ts";
import type { Segment } from "../sink/sink.ts";
import { createEnvelope, type EnvelopeName, type RowContext } from "./envelopes.ts";
import type { Encoder, Omissions } from "./protocol.ts";

/** Rows sort behind all events of the same cluster time. */
const BEHIND_ALL_EVENTS = "f".repeat(8);
const NEWLINE = 10;

/** The buffer is used again by each batch; a batch that fails leaves nothing behind. */
export function createLineEncoder(envelopeName: EnvelopeName, options: TranscoderOptions): Encoder {
  const transcoder = createTranscoder(options);
  const counted: Omissions = { deletes: 0, missingDocuments: 0, invalidUtf8: 0 };
  const envelope = createEnvelope(envelopeName, transcoder, counted);
  const writer = new JsonWriter();
  const event = new ChangeEvent();

  function encodeRows({ documents: { bytes, offsets }, namespace, at }: RowBatch): readonly Segment[] {
    const row: RowContext = {
      namespace,
      order: at + BEHIND_ALL_EVENTS,
      seconds: Number.parseInt(at.slice(0, 8), 16),
      increment: Number.parseInt(at.slice(8), 16),
    };
    for (const offset of offsets) {
      envelope.writeRow(writer, bytes, offset, row);
      writer.writeByte(NEWLINE);
    }
    return [{ namespace: nameOf(namespace), begin: 0, end: writer.length, lines: offsets.length }];
  }

  function encodeEvents({ documents: { bytes, offsets }, orders }: EventBatch): readonly Segment[] {
    const segments: Segment[] = [];
    let open: { namespace: string; begin: number; lines: number } | undefined;
    for (const [i, offset] of offsets.entries()) {
      event.read(bytes, offset);
      const begin = writer.length;
      if (!envelope.writeEvent(writer, event, orders[i] ?? "")) continue;
      writer.writeByte(NEWLINE);
      const { namespace } = event;
      if (open && open.namespace !== namespace) {
        segments.push({ ...open, end: begin });
        open = undefined;
      }
      open ??= { namespace, begin, lines: 0 };
      open.lines += 1;
    }
    if (open) segments.push({ ...open, end: writer.length });
    return segments;
  }

  return {
    encode(batch) {
      writer.reset();
      const segments = batch.kind === "rows" ? encodeRows(batch) : encodeEvents(batch);
      const lines = segments.reduce((sum, segment) => sum + segment.lines, 0);
      return { bytes: writer.view(), segments, lines };
    },
    get omissions() {
      return { ...counted, invalidUtf8: transcoder.counts.invalidUtf8 };
    },
  };
}
