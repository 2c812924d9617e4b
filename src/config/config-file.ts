/**
 * Reads a config file: mongotap's own settings, an endpoint config of Estuary's, or a whole Flow catalog. Problems are
 * added to those of the reader, so that all are found before the run ends with them.
 */

import { type CaptureParts, CATALOG_KEYS, pickCapture, readBindings, readCapture } from "./flow-catalog.ts";
import { type ConfigReader, isNothing, pathBeside } from "./config-reader.ts";
import {
  type Endpoint,
  ENDPOINT_KEYS,
  newEndpoint,
  readEndpoint,
  readEndpointKey,
  type TunnelRequest,
} from "./endpoint.ts";
import { readConfigFile } from "./files.ts";
import { type OptionName, OPTIONS } from "./options.ts";
import { locationText } from "./problems.ts";
import type { OptionRow, RawSetting } from "./setting.ts";
import { decryptSops } from "./sops.ts";
import { parseJsonTree, parseTree, type TreeMap, type TreeNode } from "./yaml-tree.ts";

/** The content of a config file. */
export interface FileConfig {
  /** By setting. Only a repeatable setting has several values. */
  readonly values: ReadonlyMap<OptionName, readonly RawSetting[]>;
  /** The namespaces to read; undefined if the file has neither bindings nor namespaces. */
  readonly namespaces: readonly RawSetting[] | undefined;
  /** The databases of the endpoint. */
  readonly databases: readonly RawSetting[];
  /** By namespace, the target that names its output file. */
  readonly targets: ReadonlyMap<string, string>;
  readonly tunnel: TunnelRequest | undefined;
}

interface Draft {
  readonly values: Map<OptionName, readonly RawSetting[]>;
  readonly endpoint: Endpoint;
  config: TreeNode | undefined;
  bindings: TreeNode | undefined;
  namespaces: readonly RawSetting[] | undefined;
}

/** The keys of a config file besides the settings and the keys of an endpoint. */
const FILE_KEYS = ["namespaces", "bindings", "config", "endpoint", ...CATALOG_KEYS] as const;

const SETTINGS: ReadonlyMap<string, OptionRow> = new Map(
  Object.entries(OPTIONS).filter(([, row]) => !("noKey" in row)),
);

/**
 * Reads the file at `path`. `capture` is the name of the capture to read out of a catalog.
 * @throws MongotapError `config` for a file that cannot be read, parsed or decrypted
 */
export async function readConfig(path: string, capture: string | undefined, reader: ConfigReader): Promise<FileConfig> {
  return await readRoot(await openDocument(path, `--config ${path}`, reader), capture, reader);
}

/**
 * Reads the config that a platform gives to its connector: JSON where it begins with a brace, else YAML. `name` names it in messages.
 * @throws MongotapError `config` as readConfig does
 */
export async function readPlatformConfig(text: string, name: string, reader: ConfigReader): Promise<FileConfig> {
  const root = await decryptSops(parseJsonTree(text, name), { env: reader.env, wholeFile: undefined });
  return await readRoot(root, undefined, reader);
}

async function readRoot(root: TreeMap, capture: string | undefined, reader: ConfigReader): Promise<FileConfig> {
  const draft: Draft = {
    values: new Map(),
    endpoint: newEndpoint(),
    config: undefined,
    bindings: undefined,
    namespaces: undefined,
  };
  for (const [key, node] of root.entries) await readKey(key, node, draft, reader);
  if (capture !== undefined && !root.entries.has("captures")) {
    reader.problems.add(root.location, `has no captures, so there is no ${capture}`);
  }
  const parts = partsOf(root, capture, reader);
  await readEndpointOf(draft.config ?? parts?.config, draft.endpoint, reader);
  const bindings = draft.bindings ?? parts?.bindings;
  const bound = bindings === undefined ? undefined : readBindings(bindings, reader);
  const { endpoint, values } = draft;
  for (const [name, setting] of endpoint.settings) values.set(name, [setting]);
  if (endpoint.excludes.length > 0) values.set("exclude", [...(values.get("exclude") ?? []), ...endpoint.excludes]);
  reader.checkFiles();
  const named = [...(bound?.namespaces ?? []), ...(draft.namespaces ?? [])];
  return {
    values,
    namespaces: bound === undefined && draft.namespaces === undefined ? undefined : named,
    databases: endpoint.databases,
    targets: bound?.targets ?? new Map<string, string>(),
    tunnel: endpoint.tunnel,
  };
}

/** Reads, parses and decrypts a whole file. */
async function openDocument(path: string, what: string, reader: ConfigReader): Promise<TreeMap> {
  const file = await readConfigFile(path, what);
  reader.remember(path, file);
  const parse = path.endsWith(".json") ? parseJsonTree : parseTree;
  return decryptSops(parse(file.text, path), { env: reader.env, wholeFile: path });
}

async function readKey(key: string, node: TreeNode, draft: Draft, reader: ConfigReader): Promise<void> {
  const row = SETTINGS.get(key);
  if (ENDPOINT_KEYS.includes(key)) await readEndpointKey(key, node, draft.endpoint, reader);
  else if (row !== undefined && reader.takes(key)) await readSetting(key as OptionName, row, node, draft, reader);
  else if (key === "namespaces") draft.namespaces = reader.values(node);
  else if (key === "config") draft.config = node;
  else if (key === "bindings") draft.bindings = node;
  else if (!FILE_KEYS.some((known) => known === key) && key !== "$schema") {
    const what = row === undefined ? "not a setting" : "not a setting of this connector";
    reader.addUnknown(node.location, what, [...SETTINGS.keys(), ...ENDPOINT_KEYS, ...FILE_KEYS]);
  }
}

async function readSetting(
  name: OptionName,
  row: OptionRow,
  node: TreeNode,
  { values }: Draft,
  reader: ConfigReader,
): Promise<void> {
  if (isNothing(node)) return;
  const found = row.repeatable === true ? reader.values(node) : [await readOne(name, row, node, reader)];
  const settings = found
    .filter((value) => value !== undefined)
    .map((value) => withPath(value, row, node.location.file));
  if (settings.length > 0) values.set(name, settings);
}

async function readOne(
  name: OptionName,
  row: OptionRow,
  node: TreeNode,
  reader: ConfigReader,
): Promise<RawSetting | undefined> {
  if (name === "uri") {
    const hasReference = node.kind === "scalar" && reader.isReference(node.text);
    return hasReference ? reader.secret(node) : reader.server(node);
  }
  return row.secret === true ? reader.secret(node) : reader.setting(node);
}

/** The setting with its path, if it has one, resolved against the folder of `file`. */
function withPath(setting: RawSetting, row: OptionRow, file: string): RawSetting {
  const { text } = setting;
  if (row.path === undefined || text === "-") return setting;
  if (row.path === "whole") return { ...setting, text: pathBeside(file, text) };
  const at = text.indexOf("=") + 1;
  return at === 0 ? setting : { ...setting, text: text.slice(0, at) + pathBeside(file, text.slice(at)) };
}

function partsOf(root: TreeMap, capture: string | undefined, reader: ConfigReader): CaptureParts | undefined {
  const captures = root.entries.get("captures");
  if (captures !== undefined) return pickCapture(captures, capture, reader);
  if (root.entries.has("import")) {
    const { location } = root;
    reader.problems.add(
      location,
      "has no captures, and what it imports is not followed: name the file with the captures",
    );
  }
  const endpoint = root.entries.get("endpoint");
  if (endpoint === undefined) return undefined;
  const spec = new Map([["endpoint", endpoint]]);
  return readCapture({ ...root, entries: spec }, reader);
}

/** Reads an endpoint config, inline or in a file beside the catalog. Either may be encrypted. */
async function readEndpointOf(node: TreeNode | undefined, endpoint: Endpoint, reader: ConfigReader): Promise<void> {
  if (node === undefined || isNothing(node)) return;
  if (node.kind === "map") {
    return readEndpoint(await decryptSops(node, { env: reader.env, wholeFile: undefined }), endpoint, reader);
  }
  const name = reader.text(node);
  if (name === undefined) return undefined;
  if (/^[a-z]+:\/\//.test(name)) {
    return reader.problems.add(node.location, "is somewhere else: fetch it, and name the file");
  }
  const path = pathBeside(node.location.file, name);
  return readEndpoint(
    await openDocument(path, `${locationText(node.location)}: the file ${path}`, reader),
    endpoint,
    reader,
  );
}
