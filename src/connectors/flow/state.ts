/**
 * The state that Flow keeps for a capture: one position of the change stream for all bindings, and how far each has been copied.
 * Checkpoints send what has changed, as a merge patch (RFC 7396).
 */

import { messageOf, MongotapError } from "../../errors.ts";
import { isJsonObject, type JsonObject as Json } from "../../lib/json-object.ts";
import type { CollectionState, Position } from "../../source/record.ts";
import type { SourceIdentity } from "../../state/checkpoint.ts";
import { parseStreamState, type Resumption, type StreamState } from "../../state/stream-state.ts";
import { nameOf } from "../../source/record.ts";
import type { FlowBinding } from "./requests.ts";

/** The key of Flow's state that holds the bindings, by their state keys; Estuary's connectors have the same. */
const BINDINGS = "bindingStateV1";

export interface FlowState {
  readonly from: Resumption;
  /** Undefined for a new capture. */
  readonly source: SourceIdentity | undefined;
  /** The bindings that an earlier session has read. */
  readonly known: readonly FlowBinding[];
}

/**
 * Where no binding is from before, the state says nothing: its position is of nothing that is read now.
 * @throws MongotapError `state` for a state that mongotap has not made
 */
export function parseFlowState(state: Json, bindings: readonly FlowBinding[]): FlowState {
  const { [BINDINGS]: found, ...shared } = state;
  const entries = isJsonObject(found) ? found : {};
  const known = bindings.filter(({ stateKey }) => isJsonObject(entries[stateKey]));
  if (known.length === 0) return { from: { position: undefined, sentUpTo: new Map() }, source: undefined, known };
  return { ...readState(shared, entries, known), known };
}

function readState(shared: Json, entries: Json, known: readonly FlowBinding[]): Pick<FlowState, "from" | "source"> {
  const { source, stream, copies, losses } = parsed(shared, "capture");
  const collections: Record<string, CollectionState> = {};
  for (const { stateKey, namespace } of known) {
    const { collection: entry } = entries[stateKey] as { readonly collection?: unknown };
    const whole = entry === undefined ? shared : { ...shared, collection: withUuid(entry) };
    const { collection } = parsed(whole, nameOf(namespace));
    if (collection !== undefined) collections[nameOf(namespace)] = collection;
  }
  const position: Position = {
    collections,
    ...(stream === undefined ? {} : { stream }),
    ...(copies === undefined ? {} : { copies }),
    ...(losses === undefined ? {} : { losses }),
  };
  return { from: { position, sentUpTo: new Map() }, source };
}

/** As parseStreamState, with what to do in Flow: a state cannot be reset there, but its keys can be left behind. */
function parsed(value: Json, stream: string): StreamState {
  try {
    return parseStreamState(value, stream);
  } catch (error) {
    const hint = "Raise the backfill counters of all bindings, so that they are copied again.";
    throw new MongotapError("state", messageOf(error), { hint, cause: error });
  }
}

/** A merge patch cannot say null: a collection without a UUID has none in the state of Flow. */
function withUuid(collection: unknown): unknown {
  const { phase } = (collection ?? {}) as { readonly phase?: unknown };
  const hasUuid = phase === "pinned" || phase === "copying";
  return hasUuid ? { uuid: null, ...(collection as object) } : collection;
}

/** Makes the whole state at a position. What has not changed since the last one is the same object. */
export class StateMaker {
  readonly #bindings: readonly FlowBinding[];
  readonly #source: SourceIdentity;
  #collections: Position["collections"] = {};
  #entries: Record<string, { readonly collection?: CollectionState }> = {};

  constructor(bindings: readonly FlowBinding[], source: SourceIdentity) {
    this.#bindings = bindings;
    this.#source = source;
    for (const { stateKey } of bindings) this.#entries[stateKey] = {};
  }

  at({ stream, copies, losses, collections }: Position): Json {
    if (collections !== this.#collections) this.#update(collections);
    return {
      formatVersion: 1,
      source: this.#source,
      ...(stream === undefined ? {} : { stream }),
      ...(copies === undefined ? {} : { copies }),
      ...(losses === undefined ? {} : { losses }),
      [BINDINGS]: this.#entries,
    };
  }

  #update(collections: Position["collections"]): void {
    const before = this.#entries;
    this.#collections = collections;
    this.#entries = {};
    for (const { stateKey, namespace } of this.#bindings) {
      const collection = collections[nameOf(namespace)];
      const entry = before[stateKey];
      const isSame = entry !== undefined && entry.collection === collection;
      this.#entries[stateKey] = isSame ? entry : collection === undefined ? {} : { collection };
    }
  }
}

/** The merge patch that makes `after` of `before`; undefined where nothing has changed. A null is as if it were absent. */
export function mergePatch(before: Json, after: Json): Json | undefined {
  const patch: Record<string, unknown> = {};
  const isThere = (of: Json, name: string): boolean => (of[name] ?? null) !== null;
  for (const name of Object.keys(before)) if (isThere(before, name) && !isThere(after, name)) patch[name] = null;
  for (const [name, value] of Object.entries(after)) {
    if (!isThere(after, name)) continue;
    const old = before[name];
    if (old === value) continue;
    const inner = isJsonObject(old) && isJsonObject(value) ? mergePatch(old, value) : changed(old, value);
    if (inner !== undefined) patch[name] = inner;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function changed(before: unknown, after: unknown): unknown {
  return JSON.stringify(before) === JSON.stringify(after) ? undefined : after;
}
