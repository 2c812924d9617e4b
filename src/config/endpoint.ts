/** The endpoint config of Estuary's MongoDB capture: where to connect, and how. */

import type { SourceLocation } from "./faults.ts";
import { isNothing, type ConfigReader } from "./reading.ts";
import type { RawSetting } from "./server-choice.ts";
import type { TreeMap, TreeNode } from "./tree.ts";
import { parseSshUrl, TAKES_SSH_URL } from "./values.ts";

/** A tunnel that the endpoint asks for. */
export interface TunnelRequest {
  readonly place: SourceLocation;
  readonly sshEndpoint: RawSetting | undefined;
  readonly privateKey: RawSetting | undefined;
}

export interface Endpoint {
  /** By the name of the setting. */
  readonly settings: Map<"address" | "user" | "password" | "before", RawSetting>;
  /** The databases to discover. */
  readonly databases: RawSetting[];
  /** `db.collection`, to be left out. */
  readonly excludes: RawSetting[];
  tunnel: TunnelRequest | undefined;
}

type Reader = (node: TreeNode, endpoint: Endpoint, reading: ConfigReader) => void | Promise<void>;

/** Not for us: what they steer does not exist here, or holds always. */
const accept: Reader = (node, _endpoint, reading) => void reading.given(node);

const NAMESPACE_LIST = /^([^:.]+):(.+)$/;

const ADVANCED: Readonly<Record<string, Reader>> = {
  maxAwaitTime(node, _endpoint, reading) {
    if (!isNothing(node)) reading.notes.push("advanced.maxAwaitTime is not used: mongotap asks every second");
  },
  disablePreImages(node, { settings }, reading) {
    const isOn = reading.boolean(node);
    const from = reading.given(node)?.from;
    if (isOn && from !== undefined) settings.set("before", { text: "none", from, level: "file" });
  },
  // The server always filters by what is bound.
  exclusiveCollectionFilter: (node, _endpoint, reading) => void reading.boolean(node),
  excludeCollections(node, { excludes }, reading) {
    for (const given of listOf(node, reading)) {
      const [, db, collection] = NAMESPACE_LIST.exec(given.text) ?? [];
      if (db === undefined) reading.faults.add(node.place, "takes a list of database:collection with commas");
      else excludes.push({ ...given, text: `${db}.${collection ?? ""}` });
    }
  },
  skipBackfills(node, _endpoint, reading) {
    if (isNothing(node)) return;
    reading.faults.add(node.place, "cannot be done: mongotap backfills all of a capture or nothing", {
      kind: "unsupported",
      hint: "Read these collections with `mongotap tail`, or leave the key out.",
    });
  },
};

const ENDPOINT: Readonly<Record<string, Reader>> = {
  address(node, { settings }, reading) {
    const given = reading.server(node);
    if (given !== undefined) settings.set("address", given);
  },
  user(node, { settings }, reading) {
    const given = reading.given(node);
    if (given !== undefined) settings.set("user", given);
  },
  async password(node, { settings }, reading) {
    const given = await reading.secret(node);
    if (given !== undefined) settings.set("password", given);
  },
  database: (node, { databases }, reading) => void databases.push(...listOf(node, reading)),
  networkTunnel: readTunnel,
  async advanced(node, endpoint, reading) {
    const map = reading.map(node);
    if (map !== undefined) await readKeys(map, ADVANCED, endpoint, reading, "not a key of `advanced`");
  },
  batchAndChangeStream: (node, _endpoint, reading) => void reading.boolean(node),
  pollSchedule: accept,
};

/** The keys of an endpoint config. */
export const ENDPOINT_KEYS: readonly string[] = Object.keys(ENDPOINT);

export function newEndpoint(): Endpoint {
  return { settings: new Map(), databases: [], excludes: [], tunnel: undefined };
}

/** Reads a whole endpoint config; keys that it does not have are faults. */
export async function readEndpoint(map: TreeMap, endpoint: Endpoint, reading: ConfigReader): Promise<void> {
  await readKeys(map, ENDPOINT, endpoint, reading, "not a key of an endpoint config");
}

/** Reads one key, which must be one of ENDPOINT_KEYS. */
export async function readEndpointKey(
  key: string,
  node: TreeNode,
  endpoint: Endpoint,
  reading: ConfigReader,
): Promise<void> {
  await ENDPOINT[key]?.(node, endpoint, reading);
}

async function readKeys(
  map: TreeMap,
  readers: Readonly<Record<string, Reader>>,
  endpoint: Endpoint,
  reading: ConfigReader,
  unknown: string,
): Promise<void> {
  for (const [key, node] of map.entries) {
    if (Object.hasOwn(readers, key)) await readers[key]?.(node, endpoint, reading);
    else reading.faults.addUnknown(node.place, unknown, Object.keys(readers));
  }
}

async function readTunnel(node: TreeNode, endpoint: Endpoint, reading: ConfigReader): Promise<void> {
  const outer = reading.map(node);
  if (outer !== undefined) reading.checkKeys(outer, ["sshForwarding"], "not a kind of tunnel");
  const forwarding = outer?.entries.get("sshForwarding");
  const map = forwarding === undefined ? undefined : reading.map(forwarding);
  if (map === undefined) return;
  const known = ["sshEndpoint", "privateKey"];
  reading.checkKeys(map, known, "not a key of sshForwarding");
  const where = map.entries.get("sshEndpoint");
  const key = map.entries.get("privateKey");
  for (const name of known) if (!map.entries.has(name)) reading.faults.add(map.place, `takes ${name} as well`);
  const sshEndpoint = where === undefined ? undefined : reading.given(where);
  if (sshEndpoint !== undefined && parseSshUrl(sshEndpoint.text) === undefined) {
    reading.faults.add(sshEndpoint.from, TAKES_SSH_URL);
  }
  endpoint.tunnel = {
    place: node.place,
    sshEndpoint,
    privateKey: key === undefined ? undefined : await reading.secret(key),
  };
}

/** A list with commas, or a list. */
function listOf(node: TreeNode, reading: ConfigReader): RawSetting[] {
  if (isNothing(node)) return [];
  return reading.texts(node).flatMap((given) =>
    given.text
      .split(",")
      .map((text) => ({ ...given, text: text.trim() }))
      .filter(({ text }) => text !== ""),
  );
}
