/** The endpoint config of Estuary's MongoDB capture: where to connect, and how. */

import type { SourceLocation } from "./problems.ts";
import { isNothing, type ConfigReader } from "./config-reader.ts";
import type { RawSetting } from "./setting.ts";
import type { TreeMap, TreeNode } from "./yaml-tree.ts";
import { parseSshUrl, TAKES_SSH_URL } from "./value-schemas.ts";

/** The tunnel of `networkTunnel.sshForwarding`. */
export interface TunnelRequest {
  readonly location: SourceLocation;
  readonly sshEndpoint: RawSetting | undefined;
  readonly privateKey: RawSetting | undefined;
}

export interface Endpoint {
  /** By the name of the setting. */
  readonly settings: Map<"address" | "user" | "password" | "before", RawSetting>;
  /** The databases to discover; without bindings, what to read. */
  readonly databases: RawSetting[];
  /** `db.collection` */
  readonly excludes: RawSetting[];
  tunnel: TunnelRequest | undefined;
}

type KeyReader = (node: TreeNode, endpoint: Endpoint, reader: ConfigReader) => void | Promise<void>;

/** Accepts a key without effect: what it configures does not exist in mongotap. */
const accept: KeyReader = (node, _endpoint, reader) => void reader.setting(node);

const NAMESPACE_LIST = /^([^:.]+):(.+)$/;

const ADVANCED: Readonly<Record<string, KeyReader>> = {
  maxAwaitTime(node, _endpoint, reader) {
    if (!isNothing(node)) reader.notes.push("advanced.maxAwaitTime is not used: mongotap asks every second");
  },
  disablePreImages(node, { settings }, reader) {
    const isOn = reader.boolean(node);
    const from = reader.setting(node)?.from;
    if (isOn && from !== undefined) settings.set("before", { text: "none", from, level: "file" });
  },
  // Always on: the server filters the stream by the bindings.
  exclusiveCollectionFilter: (node, _endpoint, reader) => void reader.boolean(node),
  excludeCollections(node, { excludes }, reader) {
    for (const setting of reader.list(node)) {
      const [, db, collection] = NAMESPACE_LIST.exec(setting.text) ?? [];
      if (db === undefined) reader.problems.add(node.location, "takes a list of database:collection with commas");
      else excludes.push({ ...setting, text: `${db}.${collection ?? ""}` });
    }
  },
  skipBackfills(node, _endpoint, reader) {
    if (isNothing(node)) return;
    reader.problems.add(node.location, "cannot be done: mongotap backfills all of a capture or nothing", {
      kind: "unsupported",
      hint: "Read these collections with `mongotap tail`, or leave the key out.",
    });
  },
};

const ENDPOINT: Readonly<Record<string, KeyReader>> = {
  address(node, { settings }, reader) {
    const setting = reader.server(node);
    if (setting !== undefined) settings.set("address", setting);
  },
  user(node, { settings }, reader) {
    const setting = reader.setting(node);
    if (setting !== undefined) settings.set("user", setting);
  },
  async password(node, { settings }, reader) {
    const setting = await reader.secret(node);
    if (setting !== undefined) settings.set("password", setting);
  },
  database: (node, { databases }, reader) => void databases.push(...reader.list(node)),
  networkTunnel: readTunnel,
  async advanced(node, endpoint, reader) {
    const map = reader.map(node);
    if (map !== undefined) await readKeys(map, ADVANCED, endpoint, reader, "not a key of `advanced`");
  },
  batchAndChangeStream: (node, _endpoint, reader) => void reader.boolean(node),
  pollSchedule: accept,
};

/** The keys of an endpoint config. */
export const ENDPOINT_KEYS: readonly string[] = Object.keys(ENDPOINT);

export function newEndpoint(): Endpoint {
  return { settings: new Map(), databases: [], excludes: [], tunnel: undefined };
}

/** Reads a whole endpoint config. Unknown keys are problems. */
export async function readEndpoint(map: TreeMap, endpoint: Endpoint, reader: ConfigReader): Promise<void> {
  await readKeys(map, ENDPOINT, endpoint, reader, "not a key of an endpoint config");
}

/** Reads one of ENDPOINT_KEYS. */
export async function readEndpointKey(
  key: string,
  node: TreeNode,
  endpoint: Endpoint,
  reader: ConfigReader,
): Promise<void> {
  await ENDPOINT[key]?.(node, endpoint, reader);
}

async function readKeys(
  map: TreeMap,
  readers: Readonly<Record<string, KeyReader>>,
  endpoint: Endpoint,
  reader: ConfigReader,
  unknown: string,
): Promise<void> {
  for (const [key, node] of map.entries) {
    if (Object.hasOwn(readers, key)) await readers[key]?.(node, endpoint, reader);
    else reader.addUnknown(node.location, unknown, Object.keys(readers));
  }
}

async function readTunnel(node: TreeNode, endpoint: Endpoint, reader: ConfigReader): Promise<void> {
  const outer = reader.map(node);
  if (outer !== undefined) reader.checkKeys(outer, ["sshForwarding"], "not a kind of tunnel");
  const forwarding = outer?.entries.get("sshForwarding");
  const map = forwarding === undefined ? undefined : reader.map(forwarding);
  if (map === undefined) return;
  const known = ["sshEndpoint", "privateKey"];
  reader.checkKeys(map, known, "not a key of sshForwarding");
  const where = map.entries.get("sshEndpoint");
  const key = map.entries.get("privateKey");
  for (const name of known) if (!map.entries.has(name)) reader.problems.add(map.location, `takes ${name} as well`);
  const sshEndpoint = where === undefined ? undefined : reader.setting(where);
  if (sshEndpoint !== undefined && parseSshUrl(sshEndpoint.text) === undefined) {
    reader.problems.add(sshEndpoint.from, TAKES_SSH_URL);
  }
  endpoint.tunnel = {
    location: node.location,
    sshEndpoint,
    privateKey: key === undefined ? undefined : await reader.secret(key),
  };
}
