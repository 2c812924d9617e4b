/**
 * `--as flow`: a Flow catalog with one capture of all collections that have a change stream. Both `mongotap capture
 * --config` and Estuary's connector run it. The schemas describe the output of that connector: values as in
 * `--format plain`, `_id` as a string, `_meta` beside the fields.
 * https://docs.estuary.dev/concepts/captures/
 */

import { stringify } from "yaml";

import { nameOf, type Namespace } from "../source/record.ts";
import type { Catalog, CatalogEntry } from "./catalog.ts";
import { streamNames } from "./streams.ts";
import { type Schema, SchemaMaker } from "./value-schema.ts";

/** The server without its password. */
export interface FlowServer {
  readonly address: string;
  readonly user: string | undefined;
  readonly hasPassword: boolean;
  /** `ssh://user@host:port` of the tunnel, if there is one. */
  readonly sshEndpoint?: string | undefined;
}

/**
 * Splits a connection string into the address and the login of an endpoint config. `shown` is `uri` with its secrets
 * masked as `***`.
 */
export function flowServerOf({ uri, shown }: { readonly uri: string; readonly shown: string }): FlowServer {
  const [, login = ""] = /^[^:]+:\/\/([^@/?]*)@/.exec(uri) ?? [];
  const [user = "", password = ""] = login.split(":");
  const [, server = shown, database = "", query = ""] = /^([^:]+:\/\/[^/?]*)\/?([^?]*)\??(.*)$/.exec(shown) ?? [];
  // Drop masked options. The database of a connection string matters for the login only, as authSource.
  const options = query.split("&").filter((option) => option !== "" && !option.endsWith("=***"));
  const hasAuthSource = options.some((option) => /^authSource=/i.test(option));
  if (database !== "" && user !== "" && !hasAuthSource) options.push(`authSource=${database}`);
  return {
    address: options.length === 0 ? server : `${server}/?${options.join("&")}`,
    user: user === "" ? undefined : decodeURIComponent(user),
    hasPassword: password !== "",
  };
}

/** Makes text that YAML 1.1 and 1.2 parse alike. */
const YAML_OPTIONS = { lineWidth: 0, aliasDuplicateObjects: false, compat: "yaml-1.1" } as const;

const CONNECTOR_IMAGE = "ghcr.io/estuary/source-mongodb:v3";
/** The tenant, as in Estuary's examples. */
const PREFIX_VARIABLE = "${PREFIX}";
const PASSWORD_VARIABLE = "${MONGOTAP_PASSWORD}";
const PRIVATE_KEY_VARIABLE = "${SSH_PRIVATE_KEY}";

/** The catalog as YAML. Collections without a change stream are named in a comment at its top. */
export function asFlow({ entries }: Catalog, server: FlowServer): string {
  const { address, user, hasPassword, sshEndpoint } = server;
  const streamed = entries.filter(({ noStream }) => noStream === null);
  const targets = targetsOf(streamed);
  const databases = [...new Set(streamed.map(({ info }) => info.namespace.db))];
  const [database] = databases;
  const capture = {
    endpoint: {
      connector: {
        image: CONNECTOR_IMAGE,
        config: {
          address,
          ...(databases.length === 0 ? {} : { database: databases.join(",") }),
          ...(user === undefined ? {} : { user }),
          ...(hasPassword ? { password: PASSWORD_VARIABLE } : {}),
          ...(sshEndpoint === undefined
            ? {}
            : { networkTunnel: { sshForwarding: { sshEndpoint, privateKey: PRIVATE_KEY_VARIABLE } } }),
        },
      },
    },
    bindings: streamed.map((entry) => ({
      resource: { database: entry.info.namespace.db, collection: entry.info.namespace.collection },
      target: targets.get(entry),
    })),
  };
  const name =
    databases.length === 1 && database !== undefined ? `${flowName(database)}/source-mongodb` : "source-mongodb";
  const catalog = {
    captures: { [`${PREFIX_VARIABLE}/${name}`]: capture },
    collections: Object.fromEntries(
      streamed.map((entry): [string, unknown] => [targets.get(entry) ?? "", collectionSpec(entry)]),
    ),
  };
  const omitted = entries.filter(({ noStream }) => noStream !== null);
  return `${commentOf(omitted, hasPassword || sshEndpoint !== undefined)}${stringify(catalog, YAML_OPTIONS)}`;
}

function targetsOf(entries: readonly CatalogEntry[]): ReadonlyMap<CatalogEntry, string> {
  const names = recommendedNames(entries.map(({ info }) => info.namespace));
  return new Map(entries.map((entry) => [entry, `${PREFIX_VARIABLE}/${names.get(entry.info.namespace) ?? ""}`]));
}

function recommendedNames(namespaces: readonly Namespace[]): ReadonlyMap<Namespace, string> {
  return streamNames(namespaces, ({ db, collection }) => `${flowName(db)}/${flowName(collection)}`);
}

/** A part of a name in Flow: letters, digits, `-`, `_` and `.`. */
function flowName(name: string): string {
  return name.replaceAll(/[^\p{L}\p{N}\-_.]/gu, "_");
}

function commentOf(omitted: readonly CatalogEntry[], hasSecrets: boolean): string {
  const lines = [
    `${PREFIX_VARIABLE} stands for your tenant: put its name there for Flow; mongotap reads it from the environment.`,
    ...(hasSecrets ? ["Secrets come from the environment; for Flow, put them in, encrypted by sops."] : []),
    ...omitted.map(({ info, noStream }) => `Left out: ${JSON.stringify(nameOf(info.namespace))}, ${noStream ?? ""}.`),
  ];
  return lines.map((line) => `# ${line}\n`).join("");
}

/** Any document with a key may be written, so that none stops the capture; the read schema has the sampled fields. */
function collectionSpec({ sampled }: CatalogEntry): unknown {
  return {
    key: ["/_id"],
    writeSchema: { ...DOCUMENT_SCHEMA, "x-infer-schema": true },
    readSchema: sampled === undefined ? DOCUMENT_SCHEMA : readSchema(sampled.structure.root),
  };
}

const META_SCHEMA: Schema = {
  type: "object",
  properties: {
    op: { enum: ["c", "u", "d"], description: "created, updated or deleted" },
    source: {
      type: "object",
      properties: { db: { type: "string" }, collection: { type: "string" } },
      required: ["db", "collection"],
    },
    before: { type: "object", description: "the document before the change, where the collection keeps images" },
  },
  required: ["op", "source"],
};

const DOCUMENT_SCHEMA: Schema = {
  type: "object",
  properties: { _id: { type: "string" }, _meta: META_SCHEMA },
  required: ["_id"],
  // Flow merges a deletion into the document downstream, and marks it as deleted.
  if: { properties: { _meta: { properties: { op: { const: "d" } }, required: ["op"] } }, required: ["_meta"] },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema, in an object that is never awaited
  then: { reduce: { strategy: "merge", delete: true } },
};

/** Collections as a capture connector of Flow discovers them. */
export function flowBindings(namespaces: readonly Namespace[]): unknown[] {
  return [...recommendedNames(namespaces)].map(([{ db, collection }, recommendedName]) => ({
    recommendedName,
    resourceConfig: { database: db, collection },
    documentSchema: { ...DOCUMENT_SCHEMA, "x-infer-schema": true },
    key: ["/_id"],
  }));
}

/** Requires only the key: a deletion has no other field. */
function readSchema(root: Parameters<SchemaMaker["objectSchema"]>[0]): Schema {
  const maker = new SchemaMaker("plain");
  const { required: _, properties, ...rest } = maker.objectSchema(root);
  const definitions = maker.definitions();
  return {
    ...DOCUMENT_SCHEMA,
    ...rest,
    ...(Object.keys(definitions).length === 0 ? {} : { $defs: definitions }),
    properties: { ...(properties as Schema), _id: { type: "string" }, _meta: META_SCHEMA },
  };
}
