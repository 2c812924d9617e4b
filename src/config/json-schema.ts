/** The JSON Schema of the config file, made from the table of options. Editors complete and check with it. */

import { CATALOG_KEYS } from "./flow-catalog.ts";
import { OPTIONS } from "./options.ts";
import type { OptionRow } from "./setting.ts";
import { type JsonType, jsonTypeOf } from "./value-schemas.ts";

const TEXT: JsonType = { type: "string" };

const ENDPOINT: Readonly<Record<string, JsonType>> = {
  address: { ...TEXT, description: "Host and port of the database, with or without a scheme such as mongodb+srv://" },
  database: { ...TEXT, description: "The databases to discover, with commas; without bindings, what is read" },
  user: { ...TEXT, description: "Database user to connect as" },
  password: {
    ...TEXT,
    description: "Password of the user; may be ${NAME}, file:NAME, or encrypted by sops",
    writeOnly: true,
  },
  networkTunnel: {
    type: "object",
    properties: {
      sshForwarding: {
        type: "object",
        properties: {
          sshEndpoint: { ...TEXT, pattern: "^ssh://[^@/]+@[^@/]+", description: "ssh://user@host[:port]" },
          privateKey: { ...TEXT, description: "The private key, in several lines, or file:NAME", writeOnly: true },
        },
        required: ["sshEndpoint", "privateKey"],
        additionalProperties: false,
      },
    },
    required: ["sshForwarding"],
    additionalProperties: false,
  },
  advanced: {
    type: "object",
    properties: {
      maxAwaitTime: TEXT,
      disablePreImages: { type: "boolean", description: "Do not ask for the document before a change" },
      exclusiveCollectionFilter: { type: "boolean", description: "Always so: the server filters by what is bound" },
      excludeCollections: { ...TEXT, description: "database:collection, with commas" },
      skipBackfills: { ...TEXT, description: "Not supported" },
    },
    additionalProperties: false,
  },
  batchAndChangeStream: { type: "boolean" },
  pollSchedule: TEXT,
};

const BINDING: JsonType = {
  type: "object",
  properties: {
    resource: {
      type: "object",
      properties: {
        database: TEXT,
        collection: TEXT,
        captureMode: { enum: ["Change Stream Incremental"] },
        cursorField: TEXT,
        pollSchedule: TEXT,
      },
      required: ["database", "collection"],
    },
    target: { ...TEXT, description: "Names the output file in --out DIR/; ${PREFIX} may stand in it" },
    disable: { type: "boolean" },
    backfill: { type: "integer" },
    priority: { type: "integer" },
  },
  required: ["resource"],
  additionalProperties: false,
};

/** A schema of draft 7, which editors support. */
export function configJsonSchema(): JsonType {
  const rows = Object.entries<OptionRow>(OPTIONS).filter(([, row]) => row.noKey !== true);
  const settings = Object.fromEntries(rows.map(([key, row]) => [key, typeOf(row)]));
  const endpoint = { type: "object", properties: ENDPOINT, additionalProperties: true };
  const config = { anyOf: [{ ...TEXT, description: "The name of a file beside this one" }, endpoint] };
  const bindings = { type: "array", items: BINDING };
  const connector = { type: "object", properties: { image: TEXT, config } };
  const capture = {
    type: "object",
    properties: { endpoint: { type: "object", properties: { connector, local: connector } }, bindings },
    required: ["endpoint"],
  };
  const foreign = Object.fromEntries(CATALOG_KEYS.map((key) => [key, {}]));
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "mongotap config file",
    type: "object",
    properties: {
      $schema: TEXT,
      ...settings,
      ...ENDPOINT,
      namespaces: { type: "array", items: TEXT, description: "What to read: db.collection, db.* or db" },
      bindings,
      config,
      endpoint: capture.properties.endpoint,
      ...foreign,
      captures: { type: "object", additionalProperties: capture, description: "A Flow catalog; --capture says which" },
      sops: { type: "object" },
    },
    // Any key may have the suffix of encrypted keys.
    patternProperties: { _sops$: {} },
    additionalProperties: false,
  };
}

function typeOf(row: OptionRow): JsonType {
  const one = jsonTypeOf(row.schema);
  const type = row.repeatable === true ? { anyOf: [one, { type: "array", items: one }] } : one;
  const fallback = row.fallback === undefined ? {} : { default: row.fallback };
  return { ...type, description: row.text, ...fallback, ...(row.secret === true ? { writeOnly: true } : {}) };
}
