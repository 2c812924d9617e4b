/** By its protocol, what a connector may be set to: its spec prints this table, and its config is read by it. */

import type { OptionName } from "../config/options.ts";

/** What a connector is called on the command line. */
export type Connector = "airbyte" | "singer" | "flow";

export interface ConnectorOptions {
  /** The settings beside those of the server, in the order of the spec. */
  readonly offered: readonly OptionName[];
  /** The defaults that differ from those of the table of options, as text; of a setting that is not offered, its value. */
  readonly defaults: Readonly<Partial<Record<OptionName, string>>>;
  /** Where it takes some values only. A setting that takes one is not in the spec. */
  readonly values: Readonly<Partial<Record<OptionName, readonly string[]>>>;
}

export const SERVER_SETTINGS = [
  "uri",
  "address",
  "user",
  "password",
  "sshKnownHosts",
  "sshHostKey",
  "sshPassphrase",
  "ssh",
] as const satisfies readonly OptionName[];

const SAMPLE = ["sample", "sampleTime"] as const satisfies readonly OptionName[];

const SHARED = [
  "format",
  "arrays",
  "documents",
  "strict",
  "onBadDocument",
  "onHistoryLost",
  "retryFor",
  "fullDocument",
  "workers",
  "maxMemory",
  "rateLimit",
  "maxLag",
  "compressors",
  "logLevel",
] as const satisfies readonly OptionName[];

const AIRBYTE = ["columns", "stateType", "newestOnly", "exclude", ...SAMPLE, ...SHARED] as const;
const SINGER = ["columns", "activateVersion", "exclude", ...SAMPLE, ...SHARED] as const;
/** Flow infers schemas, so that nothing is sampled. */
const FLOW = ["exclude", ...SHARED, "before"] as const;

/** All settings that a connector reads, of any protocol. */
export type ConnectorSetting = (typeof SERVER_SETTINGS | typeof AIRBYTE | typeof SINGER | typeof FLOW)[number];

const VALUES = {
  // A connector has no files for a quarantine.
  onBadDocument: ["fail", "skip"],
  // Without a document an update has no message: the platform would keep the old one, and the position would move on.
  fullDocument: ["exact", "image"],
} as const;

/** The messages have no document before a change, so that the server need not send any. */
const WITHOUT_BEFORE = { format: "plain", before: "none" } as const;

export const CONNECTOR_OPTIONS: Readonly<Record<Connector, ConnectorOptions>> = {
  airbyte: {
    offered: AIRBYTE,
    // Airbyte has no message that makes earlier records void, so a new copy needs the user's word.
    defaults: { ...WITHOUT_BEFORE, onHistoryLost: "fail" },
    values: VALUES,
  },
  singer: { offered: SINGER, defaults: WITHOUT_BEFORE, values: VALUES },
  // The keys of its documents are those of Estuary's connector, and its schemas describe plain values.
  flow: { offered: FLOW, defaults: { format: "plain" }, values: { ...VALUES, format: ["plain"] } },
};
