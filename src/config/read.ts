/**
 * Reads a config file: mongotap's own settings, an endpoint config of Estuary's, or a whole Flow catalog. Every fault is
 * told to `reading`, so that all are known before anything ends.
 */

import { type Named, readBindings } from "./bindings.ts";
import { type CaptureParts, CATALOG_KEYS, pickCapture, readCapture } from "./catalog.ts";
import { readConfigFile } from "./config-file.ts";
import {
  type Endpoint,
  ENDPOINT_KEYS,
  newEndpoint,
  readEndpoint,
  readEndpointKey,
  type TunnelRequest,
} from "./endpoint.ts";
import { placeText } from "./faults.ts";
import type { OptionRow } from "./option-row.ts";
import { type OptionName, OPTIONS } from "./options.ts";
import { besides, isNothing, type ConfigReader } from "./reading.ts";
import type { RawSetting } from "./server-choice.ts";
import { decryptSops } from "./sops.ts";
import { parseTree, type TreeMap, type TreeNode } from "./tree.ts";

/** What a config file says. */
export interface FileConfig {
  /** By setting; several values only where the setting is a list. */
  readonly values: ReadonlyMap<OptionName, readonly RawSetting[]>;
  /** What to read: undefined where the file does not say. */
  readonly namespaces: readonly Named[] | undefined;
  /** The databases of the endpoint: what to discover. */
  readonly databases: readonly Named[];
  /** Targets by namespace: the names of output files. */
  readonly targets: ReadonlyMap<string, string>;
  readonly tunnel: TunnelRequest | undefined;
}

interface Draft {
  readonly values: Map<OptionName, readonly RawSetting[]>;
  readonly endpoint: Endpoint;
  config: TreeNode | undefined;
  bindings: TreeNode | undefined;
  namespaces: readonly Named[] | undefined;
}

/** Keys that only a config file has, besides the settings and the keys of an endpoint. */
const FILE_KEYS = ["namespaces", "bindings", "config", "endpoint", ...CATALOG_KEYS] as const;

const OWN: ReadonlyMap<string, OptionRow> = new Map(Object.entries(OPTIONS).filter(([, row]) => !("noKey" in row)));

/**
 * Reads the file at `path`; `capture` says which one where it is a catalog.
 * @throws MongotapError `config` for what makes reading on useless: no file, no YAML, no key
 */
export async function readConfig(
  path: string,
  capture: string | undefined,
  reading: ConfigReader,
): Promise<FileConfig> {
  const root = await openDocument(path, `--config ${path}`, reading);
  const draft: Draft = {
    values: new Map(),
    endpoint: newEndpoint(),
    config: undefined,
    bindings: undefined,
    namespaces: undefined,
  };
  for (const [key, node] of root.entries) await readKey(key, node, draft, reading);
  if (capture !== undefined && !root.entries.has("captures")) {
    reading.faults.add(root.place, `has no captures, so there is no ${capture}`);
  }
  const parts = partsOf(root, capture, reading);
  await readEndpointOf(draft.config ?? parts?.config, draft.endpoint, reading);
  const bindings = draft.bindings ?? parts?.bindings;
  const bound = bindings === undefined ? undefined : readBindings(bindings, reading);
  const { endpoint, values } = draft;
  for (const [name, given] of endpoint.settings) values.set(name, [given]);
  if (endpoint.excludes.length > 0) values.set("exclude", [...(values.get("exclude") ?? []), ...endpoint.excludes]);
  reading.checkFiles();
  const named = [...(bound?.namespaces ?? []), ...(draft.namespaces ?? [])];
  return {
    values,
    namespaces: bound === undefined && draft.namespaces === undefined ? undefined : named,
    databases: endpoint.databases,
    targets: bound?.targets ?? new Map<string, string>(),
    tunnel: endpoint.tunnel,
  };
}

/** A document of its own: read, parsed and decrypted. */
async function openDocument(path: string, what: string, reading: ConfigReader): Promise<TreeMap> {
  const file = await readConfigFile(path, what);
  reading.remember(path, file);
  return decryptSops(parseTree(file.text, path), { env: reading.env, wholeFile: path });
}

async function readKey(key: string, node: TreeNode, draft: Draft, reading: ConfigReader): Promise<void> {
  const row = OWN.get(key);
  if (ENDPOINT_KEYS.includes(key)) await readEndpointKey(key, node, draft.endpoint, reading);
  else if (row !== undefined) await readSetting(key as OptionName, row, node, draft, reading);
  else if (key === "namespaces") draft.namespaces = reading.texts(node);
  else if (key === "config") draft.config = node;
  else if (key === "bindings") draft.bindings = node;
  else if (!FILE_KEYS.some((known) => known === key) && key !== "$schema") {
    reading.faults.addUnknown(node.place, "not a setting", [...OWN.keys(), ...ENDPOINT_KEYS, ...FILE_KEYS]);
  }
}

async function readSetting(
  name: OptionName,
  row: OptionRow,
  node: TreeNode,
  { values }: Draft,
  reading: ConfigReader,
): Promise<void> {
  if (isNothing(node)) return;
  const found = row.repeatable === true ? reading.texts(node) : [await readOne(name, row, node, reading)];
  const given = found.filter((value) => value !== undefined).map((value) => withPath(value, row, node.place.file));
  if (given.length > 0) values.set(name, given);
}

async function readOne(
  name: OptionName,
  row: OptionRow,
  node: TreeNode,
  reading: ConfigReader,
): Promise<RawSetting | undefined> {
  if (name === "uri") {
    const hasReference = node.kind === "scalar" && node.text.startsWith("file:");
    return hasReference ? reading.secret(node) : reading.server(node);
  }
  return row.secret === true ? reading.secret(node) : reading.given(node);
}

function withPath(given: RawSetting, row: OptionRow, file: string): RawSetting {
  if (row.path === undefined || given.text === "-") return given;
  if (row.path === "whole") return { ...given, text: besides(file, given.text) };
  const at = given.text.indexOf("=") + 1;
  return at === 0 ? given : { ...given, text: given.text.slice(0, at) + besides(file, given.text.slice(at)) };
}

function partsOf(root: TreeMap, capture: string | undefined, reading: ConfigReader): CaptureParts | undefined {
  const captures = root.entries.get("captures");
  if (captures !== undefined) return pickCapture(captures, capture, reading);
  if (root.entries.has("import")) {
    const { place } = root;
    reading.faults.add(place, "has no captures, and what it imports is not followed: name the file with the captures");
  }
  const endpoint = root.entries.get("endpoint");
  if (endpoint === undefined) return undefined;
  const spec = new Map([["endpoint", endpoint]]);
  return readCapture({ ...root, entries: spec }, reading);
}

/** An endpoint config stands inline, or in a file beside the catalog; either may be encrypted. */
async function readEndpointOf(node: TreeNode | undefined, endpoint: Endpoint, reading: ConfigReader): Promise<void> {
  if (node === undefined || isNothing(node)) return;
  if (node.kind === "map") {
    return readEndpoint(await decryptSops(node, { env: reading.env, wholeFile: undefined }), endpoint, reading);
  }
  const name = reading.text(node);
  if (name === undefined) return undefined;
  if (/^[a-z]+:\/\//.test(name)) {
    return reading.faults.add(node.place, "is somewhere else: fetch it, and name the file");
  }
  const path = besides(node.place.file, name);
  return readEndpoint(
    await openDocument(path, `${placeText(node.place)}: the file ${path}`, reading),
    endpoint,
    reading,
  );
}
