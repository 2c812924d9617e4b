/** Flow catalogs: picks the capture that is meant out of `captures:`, and takes its parts. */

import { nearest } from "../lib/nearest.ts";
import { expandTarget } from "./bindings.ts";
import { isNothing, type ConfigReader } from "./reading.ts";
import type { TreeMap, TreeNode } from "./tree.ts";

/** What a capture spec consists of, as far as it concerns us. */
export interface CaptureParts {
  /** The endpoint config, or the name of the file that holds it. */
  readonly config: TreeNode | undefined;
  readonly bindings: TreeNode | undefined;
}

/** Keys at the top of a catalog that are none of our business. */
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

/**
 * The parts of the capture that is called `wanted`, or of the only one. Undefined, and a fault, where that is not clear.
 */
export function pickCapture(
  captures: TreeNode,
  wanted: string | undefined,
  reading: ConfigReader,
): CaptureParts | undefined {
  const map = reading.map(captures);
  if (map === undefined) return undefined;
  const named = [...map.entries].map(([raw, node]) => ({ raw, node, name: expandTarget(raw, node.place, reading) }));
  const names = named.map(({ name, raw }) => name || raw);
  if (wanted !== undefined) {
    const found = named.find(({ raw, name }) => raw === wanted || name === wanted);
    if (found !== undefined) return readCapture(found.node, reading);
    const near = nearest(wanted, names);
    reading.faults.add(map.place, `holds no capture ${wanted}`, {
      hint: near === undefined ? `It holds ${names.join(", ") || "none"}.` : `Did you mean ${near}?`,
    });
    return undefined;
  }
  const ours = named.filter(({ node }) => isForMongo(node));
  const only = ours.length === 1 ? ours[0] : named.length === 1 ? named[0] : undefined;
  if (only !== undefined) return readCapture(only.node, reading);
  if (named.length === 0) reading.faults.add(map.place, "holds no capture");
  else reading.faults.add(map.place, `holds several: say which with --capture (${names.join(", ")})`);
  return undefined;
}

/** The parts of a capture spec. */
export function readCapture(node: TreeNode, reading: ConfigReader): CaptureParts | undefined {
  const capture = reading.map(node);
  if (capture === undefined) return undefined;
  reading.checkKeys(capture, CAPTURE_KEYS, "not a key of a capture");
  const connector = connectorOf(capture);
  if (connector === undefined) {
    return reading.faults.add(capture.place, "takes an endpoint with a connector and its config");
  }
  reading.checkKeys(connector, CONNECTOR_KEYS, "not a key of a connector");
  const image = connector.entries.get("image");
  if (image !== undefined && !isForMongo(node)) {
    reading.faults.add(
      image.place,
      `is not a connector for MongoDB${image.kind === "scalar" ? `: ${image.text}` : ""}`,
    );
  }
  return { config: connector.entries.get("config"), bindings: capture.entries.get("bindings") };
}

function connectorOf(capture: TreeNode): TreeMap | undefined {
  const endpoint = capture.kind === "map" ? capture.entries.get("endpoint") : undefined;
  if (endpoint?.kind !== "map") return undefined;
  const connector = endpoint.entries.get("connector") ?? endpoint.entries.get("local");
  return connector?.kind === "map" ? connector : undefined;
}

/** Estuary's images are called `source-NAME`; an image of another kind of name may be anybody's for MongoDB. */
function isForMongo(capture: TreeNode): boolean {
  const image = connectorOf(capture)?.entries.get("image");
  if (image?.kind !== "scalar" || isNothing(image) || image.encrypted) return true;
  const name = image.text.split("/").at(-1) ?? "";
  return !/^(source|materialize)-/.test(name) || /mongo|documentdb/.test(name);
}
