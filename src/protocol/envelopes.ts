/** The envelopes by the names of `--envelope`; docs/envelopes.md has an example of each. */

import { bareEnvelope } from "./bare.ts";
import { changeEnvelope } from "./change.ts";
import { debeziumEnvelope } from "./debezium.ts";
import type { Envelope, EnvelopeParts } from "./envelope.ts";
import { flatEnvelope } from "./flat.ts";
import { metaEnvelope } from "./meta.ts";
import { rawEnvelope } from "./raw.ts";

export const ENVELOPES = ["none", "meta", "change", "debezium", "flat", "raw"] as const;
export type EnvelopeName = (typeof ENVELOPES)[number];

const CONSTRUCTORS: Readonly<Record<EnvelopeName, (parts: EnvelopeParts) => Envelope>> = {
  none: bareEnvelope,
  meta: metaEnvelope,
  change: changeEnvelope,
  debezium: debeziumEnvelope,
  flat: flatEnvelope,
  raw: rawEnvelope,
};

/** The fields that an envelope writes beside those of the document. Each begins with `_` (own-fields.ts). */
export const OWN_FIELDS: Readonly<Partial<Record<EnvelopeName, readonly string[]>>> = {
  meta: ["_meta"],
  flat: ["__deleted", "__op", "_ts_ms", "_offset", "__missing", "__exact"],
};

export function createEnvelope(name: EnvelopeName, parts: EnvelopeParts): Envelope {
  return CONSTRUCTORS[name](parts);
}
