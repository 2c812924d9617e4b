/**
 * The envelopes: those of `--envelope`, by their names (docs/envelopes.md has an example of each), and the messages of
 * platforms, which know the streams of a run.
 */

import { AIRBYTE_COLUMNS, airbyteEnvelope, type AirbyteRecords } from "./airbyte.ts";
import { bareEnvelope } from "./bare.ts";
import { changeEnvelope } from "./change.ts";
import { debeziumEnvelope } from "./debezium.ts";
import type { Envelope, EnvelopeParts } from "./envelope.ts";
import { flatEnvelope } from "./flat.ts";
import { flowEnvelope, type FlowDocuments } from "./flow.ts";
import { metaEnvelope } from "./meta.ts";
import type { OwnFields } from "./own-fields.ts";
import { rawEnvelope } from "./raw.ts";
import { DELETED_AT, singerEnvelope, type SingerRecords } from "./singer.ts";

export const ENVELOPES = ["none", "meta", "change", "debezium", "flat", "raw"] as const;
export type EnvelopeName = (typeof ENVELOPES)[number];

/** The messages of a platform's protocol. */
export type PlatformMessages = AirbyteRecords | SingerRecords | FlowDocuments;

const CONSTRUCTORS: Readonly<Record<EnvelopeName, (parts: EnvelopeParts) => Envelope>> = {
  none: bareEnvelope,
  meta: metaEnvelope,
  change: changeEnvelope,
  debezium: debeziumEnvelope,
  flat: flatEnvelope,
  raw: rawEnvelope,
};

/** The fields that an envelope writes beside those of the document. Each begins with `_` (own-fields.ts). */
const OWN_FIELDS: Readonly<Partial<Record<EnvelopeName | PlatformMessages["kind"], readonly string[]>>> = {
  meta: ["_meta"],
  flat: ["__deleted", "__op", "_ts_ms", "_offset", "__copy", "__missing", "__exact"],
  airbyte: AIRBYTE_COLUMNS,
  singer: [DELETED_AT],
  flow: ["_meta"],
};

export function ownFieldsOf(envelope: EnvelopeName | PlatformMessages): OwnFields {
  const isPlatform = typeof envelope !== "string";
  return { names: OWN_FIELDS[isPlatform ? envelope.kind : envelope] ?? [], replaces: isPlatform };
}

export function createEnvelope(envelope: EnvelopeName | PlatformMessages, parts: EnvelopeParts): Envelope {
  if (typeof envelope === "string") return CONSTRUCTORS[envelope](parts);
  switch (envelope.kind) {
    case "airbyte":
      return airbyteEnvelope(envelope, parts);
    case "singer":
      return singerEnvelope(envelope, parts);
    case "flow":
      return flowEnvelope(envelope, parts);
  }
}
