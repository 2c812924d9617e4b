/**
 * A Flow catalog: one capture of all that can be streamed, and the collections that it fills. `mongotap capture --config`
 * runs it as it is; so does Estuary's own connector. The schemas describe what that connector prints: values as in
 * `--format plain`, `_id` as a string, `_meta` beside the fields.
 * https://docs.estuary.dev/concepts/captures/
 */

import { stringify } from "yaml";

import { nameOf } from "../source/record.ts";
import type { Catalog, CatalogEntry } from "./collection.ts";
import { streamNames } from "./stream-names.ts";
import { SchemaMaker } from "./value-schema.ts";
import type { Schema } from "./wrappers.ts";

/** Where to connect to; never the password. */
export interface FlowServer {
  readonly address: string;
  readonly user: string | undefined;
  readonly hasPassword: boolean;
  /** `ssh://user@host:port`, where the server is reached through one. */
  readonly sshEndpoint?: string | undefined;
}

/** Takes a connection string apart as an endpoint config wants it: the login stands beside the address. */
export function flowServerOf({ uri, shown }: { readonly uri: string; readonly shown: string }): FlowServer {
  const [, login = ""] = /^[^:]+:\/\/([^@/?]*)@/.exec(uri) ?? [];
  const [user = "", password = ""] = login.split(":");
  const [, server = shown, database = "", query = ""] = /^([^:]+:\/\/[^/?]*)\/?([^?]*)\??(.*)$/.exec(shown) ?? [];
  // What is masked is of no use, and the database at the end of a connection string counts for the login only.
  const options = query.split("&").filter((option) => option !== "" && !option.endsWith("=***"));
  const saysWhere = options.some((option) => /^authSource=/i.test(option));
  if (database !== "" && user !== "" && !saysWhere) options.push(`authSource=${database}`);
  return {
    address: options.length === 0 ? server : `${server}/?${options.join("&")}`,
    user: user === "" ? undefined : decodeURIComponent(user),
    hasPassword: password !== "",
  };
}

/** Read alike by readers of YAML 1.1 and 1.2. */
const YAML = { lineWidth: 0, aliasDuplicateObjects: false, compat: "yaml-1.1" } as const;

const IMAGE = "ghcr.io/estuary/source-mongodb:v3";
/** Stands for the tenant, as in Estuary's examples. */
const PREFIX = "${PREFIX}";
const PASSWORD = "${MONGOTAP_PASSWORD}";
const PRIVATE_KEY = "${SSH_PRIVATE_KEY}";

export function asFlow({ entries }: Catalog, server: FlowServer): string {
  const { address, user, hasPassword, sshEndpoint } = server;
  const streamed = entries.filter(({ noStream }) => noStream === null);
  const targets = targetsOf(streamed);
  const databases = [...new Set(streamed.map(({ info }) => info.namespace.db))];
  const [database] = databases;
  const capture = {
    endpoint: {
      connector: {
        image: IMAGE,
        config: {
          address,
          ...(databases.length === 0 ? {} : { database: databases.join(",") }),
          ...(user === undefined ? {} : { user }),
          ...(hasPassword ? { password: PASSWORD } : {}),
          ...(sshEndpoint === undefined
            ? {}
            : { networkTunnel: { sshForwarding: { sshEndpoint, privateKey: PRIVATE_KEY } } }),
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
    captures: { [`${PREFIX}/${name}`]: capture },
    collections: Object.fromEntries(
      streamed.map((entry): [string, unknown] => [targets.get(entry) ?? "", collectionSpec(entry)]),
    ),
  };
  const omitted = entries.filter(({ noStream }) => noStream !== null);
  return `${commentOf(omitted, hasPassword || sshEndpoint !== undefined)}${stringify(catalog, YAML)}`;
}

function targetsOf(entries: readonly CatalogEntry[]): ReadonlyMap<CatalogEntry, string> {
  const names = streamNames(
    entries.map(({ info }) => info.namespace),
    ({ db, collection }) => `${flowName(db)}/${flowName(collection)}`,
  );
  return new Map(entries.map((entry) => [entry, `${PREFIX}/${names.get(entry.info.namespace) ?? ""}`]));
}

/** Flow takes letters, digits, and `-`, `_`, `.` in a part of a name. */
function flowName(name: string): string {
  return name.replaceAll(/[^\p{L}\p{N}\-_.]/gu, "_");
}

function commentOf(omitted: readonly CatalogEntry[], hasSecrets: boolean): string {
  const lines = [
    `${PREFIX} stands for your tenant: put its name there for Flow; mongotap reads it from the environment.`,
    ...(hasSecrets ? ["Secrets come from the environment; for Flow, put them in, encrypted by sops."] : []),
    ...omitted.map(({ info, noStream }) => `Left out: ${JSON.stringify(nameOf(info.namespace))}, ${noStream ?? ""}.`),
  ];
  return lines.map((line) => `# ${line}\n`).join("");
}

/** What is written may be anything with a key, so that no document stops the capture; what is read has the fields. */
function collectionSpec({ sampled }: CatalogEntry): unknown {
  return {
    key: ["/_id"],
    writeSchema: { ...DOCUMENT, "x-infer-schema": true },
    readSchema: sampled === undefined ? DOCUMENT : readSchema(sampled.structure.root),
  };
}

const META: Schema = {
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

const DOCUMENT: Schema = {
  type: "object",
  properties: { _id: { type: "string" }, _meta: META },
  required: ["_id"],
  // A deletion keeps what is known of the document downstream, and marks it as gone.
  if: { properties: { _meta: { properties: { op: { const: "d" } }, required: ["op"] } }, required: ["_meta"] },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema, in an object that nobody awaits
  then: { reduce: { strategy: "merge", delete: true } },
};

/** Only the key is required: a deletion has nothing else. */
function readSchema(root: Parameters<SchemaMaker["objectSchema"]>[0]): Schema {
  const maker = new SchemaMaker("plain");
  const { required: _, properties, ...rest } = maker.objectSchema(root);
  const definitions = maker.definitions();
  return {
    ...DOCUMENT,
    ...rest,
    ...(Object.keys(definitions).length === 0 ? {} : { $defs: definitions }),
    properties: { ...(properties as Schema), _id: { type: "string" }, _meta: META },
  };
}
