/**
 * The requests of Flow's capture protocol as JSON, one on each line. Names may be in camel case or snake case, and everything
 * may be absent: proto3 omits defaults.
 * https://github.com/estuary/flow/blob/master/go/protocols/capture/capture.proto
 */

import { MongotapError } from "../../errors.ts";
import type { Namespace } from "../../source/record.ts";

type Json = Readonly<Record<string, unknown>>;

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
  throw new MongotapError("config", `a request is none of ${REQUESTS.join(", ")}`, { hint: HINT });
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

/** @throws MongotapError `config` with all bindings that are wrong */
export function readBindings(body: Json): FlowBinding[] {
  const bindings = member(body, "bindings");
  const problems: string[] = [];
  const found = (Array.isArray(bindings) ? bindings : []).map((binding: unknown, i): FlowBinding => {
    const resource = objectOf(member(objectOf(binding) ?? {}, "resourceConfig")) ?? {};
    const [db, collection] = [textOf(resource["database"]), textOf(resource["collection"])];
    const mode = resource["captureMode"];
    if (db === "" || collection === "") problems.push(`binding ${i} lacks its database or its collection`);
    if (mode !== undefined && mode !== null && mode !== "" && mode !== "Change Stream Incremental") {
      problems.push(`binding ${i} asks for ${JSON.stringify(mode)}: only Change Stream Incremental can be done`);
    }
    const key = textOf(member(objectOf(binding) ?? {}, "stateKey"));
    return { namespace: { db, collection }, stateKey: key === "" ? `${db}/${collection}` : key };
  });
  if (problems.length > 0) throw new MongotapError("config", problems.join("; "));
  return found;
}

/** How many checkpoints an acknowledge request acknowledges. */
export function acknowledgedBy(body: Json): number {
  const count = Number(body["checkpoints"] ?? 0);
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/** A member by its name in camel case, or the same in snake case. */
function member(body: Json, name: string): unknown {
  return body[name] ?? body[name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)];
}

function objectOf(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
