/** The bindings of a capture: which collections, and into which target each goes. */

import type { SourceLocation } from "./faults.ts";
import { placeText } from "./faults.ts";
import { isNothing, type ConfigReader } from "./reading.ts";
import type { TreeMap, TreeNode } from "./tree.ts";
import { validateNamespace } from "./values.ts";

/** A namespace, and who named it. */
export interface Named {
  readonly text: string;
  readonly from: string;
  /** Stands encrypted in its file: not to be shown when it is wrong. */
  readonly secret?: boolean;
}

export interface ReadBindings {
  readonly namespaces: readonly Named[];
  /** By namespace. */
  readonly targets: ReadonlyMap<string, string>;
}

const BINDING_KEYS = ["resource", "target", "disable", "backfill", "priority"];
const RESOURCE_KEYS = ["database", "collection", "captureMode", "cursorField", "pollSchedule", "_meta"];
const STREAMING = "Change Stream Incremental";

/** Reads `bindings`. Those that are disabled are left out. */
export function readBindings(node: TreeNode, reading: ConfigReader): ReadBindings {
  const namespaces: Named[] = [];
  const targets = new Map<string, string>();
  if (node.kind !== "list") {
    if (!isNothing(node)) reading.faults.add(node.place, "takes a list of resource and target");
    return { namespaces, targets };
  }
  for (const item of node.items) {
    const binding = reading.map(item);
    if (binding === undefined) continue;
    reading.checkKeys(binding, BINDING_KEYS, "not a key of a binding");
    const disable = binding.entries.get("disable");
    if (disable !== undefined && reading.boolean(disable)) continue;
    const namespace = readResource(binding, reading);
    if (namespace === undefined) continue;
    if (namespaces.some(({ text }) => text === namespace)) {
      reading.faults.add(item.place, `names ${namespace} for the second time`);
      continue;
    }
    namespaces.push({ text: namespace, from: placeText(item.place) });
    readTarget(binding, namespace, targets, reading);
  }
  return { namespaces, targets };
}

function readResource(binding: TreeMap, reading: ConfigReader): string | undefined {
  const node = binding.entries.get("resource");
  if (node === undefined) return reading.faults.add(binding.place, "takes a resource with database and collection");
  const resource = reading.map(node);
  if (resource === undefined) return undefined;
  reading.checkKeys(resource, RESOURCE_KEYS, "not a key of a resource");
  checkMode(resource, reading);
  const database = textOf(resource, "database", reading);
  const collection = textOf(resource, "collection", reading);
  if (database === undefined || collection === undefined) return undefined;
  const objection = database.includes(".")
    ? "a database name holds no dot"
    : validateNamespace(`${database}.${collection}`);
  if (objection === undefined) return `${database}.${collection}`;
  const isEncrypted = [...resource.entries.values()].some((node) => node.kind === "scalar" && node.encrypted);
  return reading.faults.add(resource.place, isEncrypted ? "is no namespace" : `cannot be: ${objection}`);
}

/** Batch modes poll what has no change stream; that is another job than to follow changes. */
function checkMode(resource: TreeMap, reading: ConfigReader): void {
  const mode = resource.entries.get("captureMode");
  if (mode === undefined || isNothing(mode)) return;
  const text = reading.text(mode);
  if (text === STREAMING) return;
  if (text === "Batch Snapshot" || text === "Batch Incremental") {
    reading.faults.add(mode.place, `is ${text}: mongotap does not poll`, {
      kind: "unsupported",
      hint: "Copy such a collection with `mongotap backfill db.collection`, as often as you like.",
    });
  } else reading.faults.add(mode.place, `takes ${STREAMING}`);
}

function readTarget(binding: TreeMap, namespace: string, targets: Map<string, string>, reading: ConfigReader): void {
  const node = binding.entries.get("target");
  if (node === undefined || isNothing(node)) return;
  if (node.kind !== "scalar") return reading.faults.add(node.place, "takes a name such as acmeCo/orders");
  if (namespace.endsWith(".*"))
    return reading.faults.add(node.place, "names one file: it does not fit a whole database");
  const target = expandTarget(node.text, node.place, reading);
  if (target === undefined) return undefined;
  if (target.split("/").every((part) => part === "")) return reading.faults.add(node.place, "is empty");
  targets.set(namespace, target);
  return undefined;
}

/** As Estuary's examples are written: `${PREFIX}/users` is `users` where no PREFIX is set. */
export function expandTarget(text: string, place: SourceLocation, reading: ConfigReader): string | undefined {
  const isUnset = (name: string): boolean => reading.env[name] === undefined || reading.env[name] === "";
  const short = ["PREFIX", "CAPTURE_NAME"]
    .filter(isUnset)
    .reduce((left, name) => left.replaceAll(`\${${name}}/`, ""), text);
  return reading.expand(short, place, (name) => (name === "PREFIX" || name === "CAPTURE_NAME" ? "" : undefined));
}

function textOf(map: TreeMap, key: string, reading: ConfigReader): string | undefined {
  const node = map.entries.get(key);
  if (node === undefined || isNothing(node)) return reading.faults.add(node?.place ?? map.place, `takes a ${key}`);
  return reading.text(node);
}
