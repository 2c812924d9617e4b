/**
 * The JSON Schema of the config that a platform gives to its connector: the keys of our own config file that make sense there.
 * Platforms make a form of it, and encrypt what is secret: https://docs.airbyte.com/connector-development/connector-specification-reference
 * and https://github.com/estuary/connectors/blob/main/docs/config_schema_guidelines.md.
 */

import { type OptionName, OPTIONS } from "../config/options.ts";
import type { OptionRow } from "../config/setting.ts";
import { jsonTypeOf } from "../config/value-schemas.ts";
import { type Connector, CONNECTOR_OPTIONS, type ConnectorOptions } from "./connector-options.ts";
import { platformText } from "./platform-text.ts";

type Schema = Readonly<Record<string, unknown>>;

/** The keyword that marks a secret. */
type SecretKeyword = "airbyte_secret" | "secret";

/** Names with commas between them. Lists are taken too, but a form has no widget for either of the two. */
const SEVERAL: Schema = { type: "string" };

/** Names settings by their keys. */
const inWordsOfConfig = platformText("");

/** What a setting is, in a form: for those that the table of options describes in other words, or not for a platform. */
const TEXTS: Readonly<Partial<Record<OptionName, string>>> = {
  exclude: "Collections to leave out of databases that are read as a whole: db.collection, with commas between them",
  sample: "How many documents of each collection are read to find its fields; 0: none; unset: 1000",
  sampleTime: "How long the sample of one collection may take",
  columns: "A column for each field of a document (fields), or _id and the document in one column (data)",
  stateType: "A state for each stream, or one for all streams (global)",
  newestOnly: "Of the changes of a document, send only the newest of a read",
  activateVersion: "Make earlier rows void where a copy replaces one (replaced), or with every copy (always)",
  arrays:
    "Arrays as JSON arrays, whose elements must all have one type, or as strings that hold their JSON; unset: as they are",
  strict: "Treat a document with invalid UTF-8 as one that cannot be carried, instead of writing U+FFFD in its place",
  onBadDocument:
    "What happens to a document that cannot be carried, or is too large for the server to send: fail (the run ends), or skip (it is left out and counted)",
  onHistoryLost:
    "What happens when the oplog no longer reaches back to the state: fail (the run ends, and so does the next one), next-run (the run ends, and the next one copies everything again), or now (the run copies everything again at once)",
  retryFor: "How long to keep trying while the server does not answer",
  fullDocument:
    "The document of an update: exact (as the update left it), or image (the same, from the images that the collection keeps)",
  workers: "How many threads read and encode collections; unset: half of the processors, as far as maxMemory allows",
  maxMemory: "About how much memory a run may use",
  rateLimit: "How much BSON is copied per second at most, such as 5MB; changes are not limited",
  compressors: "Compression on the network: zstd, zlib, or both with a comma between them, the preferred one first",
  logLevel: "The level of the log: error, warn, info or debug; unset: what the platform asks for, or info",
};

export function connectionSpecification(connector: Connector): Schema {
  const secret = connector === "airbyte" ? "airbyte_secret" : "secret";
  const { offered, ...rules } = CONNECTOR_OPTIONS[connector];
  const isSecret = { [secret]: true };
  const text = (title: string, description: string, more: Schema = {}): Schema => ({
    type: "string",
    title,
    description,
    ...more,
  });
  const server = {
    uri: text(
      "Connection string",
      "A mongodb:// or mongodb+srv:// connection string with everything that a driver takes; or leave it empty and fill in the address, user and password",
      isSecret,
    ),
    address: text("Address", "Host and port of the server, with or without mongodb:// or mongodb+srv://"),
    database: {
      ...SEVERAL,
      title: "Databases",
      description: "The databases to read, with commas between them; empty: all that the user may read",
    },
    user: text("User", "The name of the user, without any encoding"),
    password: text("Password", "The password of the user, without any encoding", isSecret),
    networkTunnel: networkTunnel(secret),
    sshHostKey: text(
      "SSH host key",
      "The fingerprint of the ssh server's host key, as ssh-keygen -l prints it (SHA256:…); a connector has no known_hosts file",
    ),
  };
  const settings = offered
    .filter((name) => rules.values[name]?.length !== 1)
    .map((name) => [name, settingSchema(name, rules)] as const);
  const properties = Object.entries({ ...server, ...Object.fromEntries(settings) });
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "MongoDB",
    type: "object",
    properties: Object.fromEntries(properties.map(([name, schema], order) => [name, { ...schema, order }])),
    required: [],
  };
}

/** What a binding of Flow names. */
export const RESOURCE_SCHEMA: Schema = {
  $schema: "http://json-schema.org/draft-07/schema#",
  title: "MongoDB collection",
  type: "object",
  properties: {
    database: { type: "string", title: "Database", description: "The name of the database", order: 0 },
    collection: { type: "string", title: "Collection", description: "The name of the collection", order: 1 },
  },
  required: ["database", "collection"],
};

function networkTunnel(secret: SecretKeyword): Schema {
  const multiline = secret === "secret" ? { multiline: true } : { multiline: true, airbyte_secret: true };
  return {
    type: "object",
    title: "Network tunnel",
    description: "Reach the server through an ssh server",
    properties: {
      sshForwarding: {
        type: "object",
        title: "SSH forwarding",
        properties: {
          sshEndpoint: {
            type: "string",
            title: "SSH endpoint",
            description: "The ssh server and its user: ssh://user@host[:port]",
            pattern: "^ssh://[^@/]+@[^@/]+",
          },
          privateKey: {
            type: "string",
            title: "Private key",
            description: "The private key of the user, in PEM or OpenSSH form",
            [secret]: true,
            ...multiline,
          },
        },
        required: ["sshEndpoint", "privateKey"],
      },
    },
  };
}

function settingSchema(name: OptionName, { defaults, values }: Pick<ConnectorOptions, "defaults" | "values">): Schema {
  const row: OptionRow = OPTIONS[name];
  const allowed = values[name];
  const one: Schema = allowed === undefined ? jsonTypeOf(row.schema) : { type: "string", enum: allowed };
  const type: Schema = row.repeatable === true ? SEVERAL : one;
  // A form that fills in its default would hide what the platform asks for.
  const fallback = name === "logLevel" ? undefined : (defaults[name] ?? row.fallback);
  return {
    ...type,
    title: titleOf(name),
    description: capitalized(inWordsOfConfig(TEXTS[name] ?? row.text)),
    ...(fallback === undefined ? {} : { default: typedDefault(type, fallback) }),
    ...(row.value === undefined ? { default: false } : {}),
  };
}

/** `maxLag` → `Max lag`. */
function titleOf(name: string): string {
  const words = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return capitalized(words);
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function typedDefault({ type }: Schema, text: string): unknown {
  return type === "integer" || type === "number" ? Number(text) : text;
}
