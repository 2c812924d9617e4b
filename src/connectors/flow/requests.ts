/**
 * The requests of Flow's capture protocol as JSON, one on each line. Names may be in camel case, or as the protocol's own source
 * has them, and everything may be absent: proto3 omits defaults.
 * https://github.com/estuary/flow/blob/master/go/protocols/capture/capture.proto
 */

import { MongotapError } from "../../errors.ts";
import { isJsonObject, type JsonObject as Json } from "../../lib/json-object.ts";
import { nameOf, type Namespace } from "../../source/record.ts";

export const REQUESTS = ["spec", "discover", "validate", "apply", "open", "acknowledge"] as const;
export type RequestKind = (typeof REQUESTS)[number];

export interface Request {
  readonly kind: RequestKind;
  readonly body: Json;
}

/** A binding of a validate or open request. */
export interface FlowBinding {
  readonly namespace: Namespace;
  /** What the state of the binding is kept under: another one after the backfill counter of the binding has been raised. */
  readonly stateKey: string;
}

export interface FlowBindings {
  /** In the order of the request. */
  readonly bindings: readonly FlowBinding[];
  /** What is wrong with bindings, each with its number or its name. */
  readonly problems: readonly string[];
}

/** @throws MongotapError `config` for a line that is no request */
export function parseRequest(line: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new MongotapError("config", "a line of standard input is not JSON", { hint: HINT, cause: error });
  }
  const body = objectOf(value);
  for (const kind of REQUESTS) {
    const found = body?.[kind];
    if (found !== undefined && found !== null) return { kind, body: objectOf(found) ?? {} };
  }
  throw new MongotapError("config", `a request is none of these: ${REQUESTS.join(", ")}`, { hint: HINT });
}

const HINT = "`mongotap flow` is run by Flow, with requests as JSON on standard input.";

/** The config of the endpoint, as JSON text. */
export function configOf(body: Json): string {
  return JSON.stringify(member(body, "config") ?? {});
}

/** The capture of an open request. */
export function captureOf(body: Json): Json {
  return objectOf(member(body, "capture")) ?? {};
}

/** The state of an open request. */
export function stateOf(body: Json): Json {
  return objectOf(member(body, "state")) ?? {};
}

const LAST_KEY = 0xffff_ffff;

/**
 * Refuses a shard of several: each would send every document.
 * @throws MongotapError `config`
 */
export function checkRange(body: Json): void {
  const range = objectOf(member(body, "range")) ?? {};
  const begin = Number(member(range, "keyBegin") ?? 0);
  const end = Number(member(range, "keyEnd") ?? 0);
  if (begin === 0 && (end === 0 || end === LAST_KEY)) return;
  throw new MongotapError("config", "the capture has several shards: mongotap runs as one", {
    hint: "Give the capture one shard with the whole range of keys.",
  });
}

export function readBindings(body: Json): FlowBindings {
  const found = member(body, "bindings");
  const problems: string[] = [];
  const names = new Set<string>();
  const bindings = (Array.isArray(found) ? found : []).map((value: unknown, i): FlowBinding => {
    const binding = objectOf(value) ?? {};
    const resource = objectOf(member(binding, "resourceConfig")) ?? {};
    const namespace = { db: textOf(resource["database"]), collection: textOf(resource["collection"]) };
    const name = nameOf(namespace);
    const mode = resource["captureMode"];
    if (namespace.db === "" || namespace.collection === "") {
      problems.push(`binding ${i + 1} has no ${namespace.db === "" ? "database" : "collection"}`);
    } else if (names.has(name)) problems.push(`${name} is bound twice`);
    else if (mode !== undefined && mode !== null && mode !== "" && mode !== "Change Stream Incremental") {
      problems.push(`${name} asks for ${JSON.stringify(mode)}, and mongotap does Change Stream Incremental only`);
    }
    names.add(name);
    const key = textOf(member(binding, "stateKey"));
    return { namespace, stateKey: key === "" ? `${namespace.db}/${namespace.collection}` : key };
  });
  return { bindings, problems };
}

/** @throws MongotapError `config` with all problems */
export function refuseBindings(problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new MongotapError("config", problems.join("; "), {
    hint: problems.length === 1 ? "Correct or disable this binding." : "Correct or disable these bindings.",
  });
}

/** How many checkpoints an acknowledge request acknowledges. */
export function acknowledgedBy(body: Json): number {
  const count = Number(body["checkpoints"] ?? 0);
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/** A member by its name, or by the one in the source of the protocol: `resource_config`, `resource_config_json`. */
function member(body: Json, name: string): unknown {
  const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return body[name] ?? body[snake] ?? body[`${snake}_json`];
}

function objectOf(value: unknown): Json | undefined {
  return isJsonObject(value) ? value : undefined;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
