/**
 * Flow catalogs: the capture to read out of `captures:`, and its bindings, which name collections and the target that
 * each goes to.
 */

import { didYouMean } from "../lib/did-you-mean.ts";
import { type ConfigReader, isNothing } from "./config-reader.ts";
import { locationText, type SourceLocation } from "./problems.ts";
import type { RawSetting } from "./setting.ts";
import type { TreeMap, TreeNode } from "./yaml-tree.ts";
import { validateNamespace } from "./value-schemas.ts";

/** The parts of a capture spec that mongotap reads. */
export interface CaptureParts {
  /** The endpoint config, or the name of the file that holds it. */
  readonly config: TreeNode | undefined;
  readonly bindings: TreeNode | undefined;
}

/** The keys at the top of a catalog. Only `captures` is read. */
export const CATALOG_KEYS = [
  "captures",
  "collections",
  "materializations",
  "tests",
  "import",
  "storageMappings",
] as const;

const CAPTURE_KEYS = [
  "endpoint",
  "bindings",
  "interval",
  "autoDiscover",
  "shards",
  "expectPubId",
  "delete",
  "reset",
  "redactSalt",
];
const CONNECTOR_KEYS = ["image", "config", "command", "env", "protobuf"];

/** The parts of the capture named `wanted`, or of the only one. Undefined, with a problem, if there is none or several. */
export function pickCapture(
  captures: TreeNode,
  wanted: string | undefined,
  reader: ConfigReader,
): CaptureParts | undefined {
  const map = reader.map(captures);
  if (map === undefined) return undefined;
  const named = [...map.entries].map(([raw, node]) => ({ raw, node, name: expandTarget(raw, node.location, reader) }));
  const names = named.map(({ name, raw }) => name || raw);
  if (wanted !== undefined) {
    const found = named.find(({ raw, name }) => raw === wanted || name === wanted);
    if (found !== undefined) return readCapture(found.node, reader);
    const near = didYouMean(wanted, names);
    reader.problems.add(map.location, `holds no capture ${wanted}`, {
      hint: near === undefined ? `It holds ${names.join(", ") || "none"}.` : `Did you mean ${near}?`,
    });
    return undefined;
  }
  const mongo = named.filter(({ node }) => isForMongo(node));
  const enabled = mongo.filter(({ node }) => !isDisabled(node));
  const only = [mongo, enabled, named].find(({ length }) => length === 1)?.[0];
  if (only !== undefined) return readCapture(only.node, reader);
  if (named.length === 0) reader.problems.add(map.location, "holds no capture");
  else reader.problems.add(map.location, `holds several: say which with --capture (${names.join(", ")})`);
  return undefined;
}

/** The parts of a capture spec. */
export function readCapture(node: TreeNode, reader: ConfigReader): CaptureParts | undefined {
  const capture = reader.map(node);
  if (capture === undefined) return undefined;
  reader.checkKeys(capture, CAPTURE_KEYS, "not a key of a capture");
  const connector = connectorOf(capture);
  if (connector === undefined) {
    return reader.problems.add(capture.location, "takes an endpoint with a connector and its config");
  }
  reader.checkKeys(connector, CONNECTOR_KEYS, "not a key of a connector");
  const image = connector.entries.get("image");
  if (image !== undefined && !isForMongo(node)) {
    reader.problems.add(
      image.location,
      `is not a connector for MongoDB${image.kind === "scalar" ? `: ${image.text}` : ""}`,
    );
  }
  if (isDisabled(node)) {
    reader.notes.push("the capture is disabled in Flow (shards.disable), but is run here as asked");
  }
  return { config: connector.entries.get("config"), bindings: capture.entries.get("bindings") };
}

/** Whether Flow does not run a capture. */
function isDisabled(capture: TreeNode): boolean {
  const shards = capture.kind === "map" ? capture.entries.get("shards") : undefined;
  const disable = shards?.kind === "map" ? shards.entries.get("disable") : undefined;
  return disable?.kind === "scalar" && disable.value === true;
}

function connectorOf(capture: TreeNode): TreeMap | undefined {
  const endpoint = capture.kind === "map" ? capture.entries.get("endpoint") : undefined;
  if (endpoint?.kind !== "map") return undefined;
  const connector = endpoint.entries.get("connector") ?? endpoint.entries.get("local");
  return connector?.kind === "map" ? connector : undefined;
}

/** False for an image of Estuary's (`source-NAME`) for another database. An image with a name of another form may be for MongoDB. */
function isForMongo(capture: TreeNode): boolean {
  const image = connectorOf(capture)?.entries.get("image");
  if (image?.kind !== "scalar" || isNothing(image) || image.encrypted) return true;
  const name = image.text.split("/").at(-1) ?? "";
  return !/^(source|materialize)-/.test(name) || /mongo|documentdb/.test(name);
}

export interface CaptureBindings {
  readonly namespaces: readonly RawSetting[];
  /** By namespace. */
  readonly targets: ReadonlyMap<string, string>;
}

const BINDING_KEYS = ["resource", "target", "disable", "backfill", "priority"];
const RESOURCE_KEYS = ["database", "collection", "captureMode", "cursorField", "pollSchedule", "_meta"];
const STREAMING = "Change Stream Incremental";

/** Reads `bindings`. Disabled bindings are left out. */
export function readBindings(node: TreeNode, reader: ConfigReader): CaptureBindings {
  const namespaces: RawSetting[] = [];
  const targets = new Map<string, string>();
  if (node.kind !== "list") {
    if (!isNothing(node)) reader.problems.add(node.location, "takes a list of resource and target");
    return { namespaces, targets };
  }
  for (const item of node.items) {
    const binding = reader.map(item);
    if (binding === undefined) continue;
    reader.checkKeys(binding, BINDING_KEYS, "not a key of a binding");
    const disable = binding.entries.get("disable");
    if (disable !== undefined && reader.boolean(disable)) continue;
    const namespace = readResource(binding, reader);
    if (namespace === undefined) continue;
    if (namespaces.some(({ text }) => text === namespace)) {
      reader.problems.add(item.location, `names ${namespace} for the second time`);
      continue;
    }
    namespaces.push({ text: namespace, from: locationText(item.location), level: "file" });
    readTarget(binding, namespace, targets, reader);
  }
  return { namespaces, targets };
}

function readResource(binding: TreeMap, reader: ConfigReader): string | undefined {
  const node = binding.entries.get("resource");
  if (node === undefined) return reader.problems.add(binding.location, "takes a resource with database and collection");
  const resource = reader.map(node);
  if (resource === undefined) return undefined;
  reader.checkKeys(resource, RESOURCE_KEYS, "not a key of a resource");
  checkMode(resource, reader);
  const database = textOf(resource, "database", reader);
  const collection = textOf(resource, "collection", reader);
  if (database === undefined || collection === undefined) return undefined;
  const reason = database.includes(".")
    ? "a database name holds no dot"
    : validateNamespace(`${database}.${collection}`);
  if (reason === undefined) return `${database}.${collection}`;
  const isEncrypted = [...resource.entries.values()].some((node) => node.kind === "scalar" && node.encrypted);
  return reader.problems.add(resource.location, isEncrypted ? "is no namespace" : `cannot be: ${reason}`);
}

/** Only change streams are supported; the batch modes poll. */
function checkMode(resource: TreeMap, reader: ConfigReader): void {
  const mode = resource.entries.get("captureMode");
  if (mode === undefined || isNothing(mode)) return;
  const text = reader.text(mode);
  if (text === STREAMING) return;
  if (text === "Batch Snapshot" || text === "Batch Incremental") {
    reader.problems.add(mode.location, `is ${text}: mongotap does not poll`, {
      kind: "unsupported",
      hint: "Copy such a collection with `mongotap backfill db.collection`, as often as you like.",
    });
  } else reader.problems.add(mode.location, `takes ${STREAMING}`);
}

function readTarget(binding: TreeMap, namespace: string, targets: Map<string, string>, reader: ConfigReader): void {
  const node = binding.entries.get("target");
  if (node === undefined || isNothing(node)) return;
  if (node.kind !== "scalar") return reader.problems.add(node.location, "takes a name such as acmeCo/orders");
  if (namespace.endsWith(".*"))
    return reader.problems.add(node.location, "names one file: it does not fit a whole database");
  const target = expandTarget(node.text, node.location, reader);
  if (target === undefined) return undefined;
  if (target.split("/").every((part) => part === "")) return reader.problems.add(node.location, "is empty");
  targets.set(namespace, target);
  return undefined;
}

/** Resolves references as Estuary's examples use them: `${PREFIX}/users` is `users` if no PREFIX is set. */
function expandTarget(text: string, location: SourceLocation, reader: ConfigReader): string | undefined {
  const isUnset = (name: string): boolean => reader.env[name] === undefined || reader.env[name] === "";
  const short = ["PREFIX", "CAPTURE_NAME"]
    .filter(isUnset)
    .reduce((left, name) => left.replaceAll(`\${${name}}/`, ""), text);
  return reader.expand(short, location, (name) => (name === "PREFIX" || name === "CAPTURE_NAME" ? "" : undefined));
}

function textOf(map: TreeMap, key: string, reader: ConfigReader): string | undefined {
  const node = map.entries.get(key);
  if (node === undefined || isNothing(node))
    return reader.problems.add(node?.location ?? map.location, `takes a ${key}`);
  return reader.text(node);
}
