/**
 * The events of a batch by document: which versions of a document an update left behind without showing it, and what is
 * known before and after each. Pure: lookup-stream.ts reads what is missing.
 */

import { bufferOf, ElementWalker, isCorrupt } from "../codec/bson.ts";
import type { ChangeEvent } from "../codec/change-event.ts";
import { keyText } from "./equal-keys.ts";
import type { RawValue } from "./raw-bson.ts";
import type { ClusterTime } from "./record.ts";

/** What one document went through in a batch. */
export interface KeyHistory {
  /** `db.collection` */
  readonly collection: string;
  /** The value of its `_id`. */
  readonly id: RawValue;
  /** Its `keyText`: a replacement may give an `_id` another type of number. */
  readonly idText: string;
  /** The other fields of `documentKey` (a sharded collection), as elements; empty where it is `_id` alone. */
  readonly shardKey: readonly ShardKeyField[];
  /** In ascending order of time. */
  readonly steps: Step[];
  /** When its collection ended: dropped or renamed. */
  endedAt?: ClusterTime;
}

export interface ShardKeyField {
  /** The path of the field, in Latin-1. */
  readonly path: string;
  readonly value: RawValue;
}

/** The events of one document at one cluster time: several only in a transaction, of which the last counts. */
export interface Step {
  readonly time: ClusterTime;
  /** Their indexes in the batch. */
  readonly events: number[];
  /** Those of updates that lack their document; the same array where all of them do. */
  lacking: readonly number[];
  /** What the last of them left behind: a document that the event shows, one that it does not show, or none. */
  after: "shown" | "hidden" | "none";
}

/** Consecutive steps that show no document. */
export interface HiddenRun {
  readonly history: KeyHistory;
  readonly steps: readonly Step[];
  /**
   * The document before the first of them: of the step before (an index of an event), as it was before the batch, or
   * unknown.
   */
  readonly base: number | "before the batch" | undefined;
  /** When the last version ended; undefined if it outlives the batch. */
  readonly until: ClusterTime | undefined;
}

export interface Hidden {
  /** The runs of hidden versions. */
  readonly runs: HiddenRun[];
  /** Steps with updates that lack their document, of which a later event of the same time shows what they left behind. */
  readonly known: Step[];
}

/** Whether the event is an update whose document the server did not send. */
export function lacksDocument({ operation, slots }: ChangeEvent): boolean {
  return operation === "update" && !slots.fullDocument.isDocument;
}

/** Collects the events of a batch, in order. */
export class KeyHistories {
  /** By collection, and by document key. */
  readonly #collections = new Map<string, Map<string, KeyHistory>>();
  readonly #ended: KeyHistory[] = [];
  readonly #walker = new ElementWalker();

  /** Adds the event number `index` of the batch, which the server sent at `time`. */
  add(event: ChangeEvent, index: number, time: ClusterTime): void {
    switch (event.operation) {
      case "insert":
      case "replace":
        this.#addTo(event, index, time, "shown");
        break;
      case "update":
        this.#addTo(event, index, time, lacksDocument(event) ? "hidden" : "shown");
        break;
      case "delete":
        this.#addTo(event, index, time, "none");
        break;
      case "drop":
      case "rename":
        this.#end(event.namespace, time);
        if (event.operation === "rename") this.#end(event.renamedTo, time);
    }
  }

  /** What has to be found out. */
  hidden(): Hidden {
    const hidden: Hidden = { runs: [], known: [] };
    for (const history of this.#ended) addHidden(hidden, history);
    for (const byKey of this.#collections.values()) for (const history of byKey.values()) addHidden(hidden, history);
    return hidden;
  }

  #addTo(event: ChangeEvent, index: number, time: ClusterTime, after: Step["after"]): void {
    let history: KeyHistory | undefined;
    try {
      history = this.#historyOf(event);
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      return; // the event cannot be written either
    }
    if (history === undefined) return;
    const last = history.steps.at(-1);
    if (last?.time === time) addToStep(last, index, after);
    else {
      const events = [index];
      history.steps.push({ time, events, lacking: after === "hidden" ? events : NO_EVENTS, after });
    }
  }

  #historyOf(event: ChangeEvent): KeyHistory | undefined {
    const { bytes, slots } = event;
    if (!slots.documentKey.isDocument) return undefined;
    const walker = this.#walker;
    let shardKey = NO_SHARD_KEY;
    let id: RawValue | undefined;
    walker.start(bytes, slots.documentKey.begin);
    while (walker.next()) {
      const value = { type: walker.type, bytes, begin: walker.valueBegin, end: walker.valueEnd };
      if (walker.nameIs(ID)) id = value;
      else shardKey = [...shardKey, { path: latin1(bytes, walker.nameBegin, walker.nameEnd), value }];
    }
    if (id === undefined) return undefined;
    const collection = event.namespace;
    const idText = keyText(id);
    let key = idText;
    for (const { path, value } of shardKey) key += `\0${path}\0${keyText(value)}`;
    let byKey = this.#collections.get(collection);
    if (byKey === undefined) this.#collections.set(collection, (byKey = new Map<string, KeyHistory>()));
    let history = byKey.get(key);
    if (history === undefined) byKey.set(key, (history = { collection, id, idText, shardKey, steps: [] }));
    return history;
  }

  #end(collection: string, time: ClusterTime): void {
    for (const history of this.#collections.get(collection)?.values() ?? []) {
      history.endedAt = time;
      this.#ended.push(history);
    }
    this.#collections.delete(collection);
  }
}

function addToStep(step: Step, index: number, after: Step["after"]): void {
  if (after === "hidden") step.lacking = [...step.lacking, index];
  else if (step.lacking === step.events) step.lacking = [...step.events];
  step.events.push(index);
  step.after = after;
}

function addHidden({ runs, known }: Hidden, history: KeyHistory): void {
  const { steps, endedAt } = history;
  for (let i = 0; i < steps.length; i += 1) {
    const step = steps[i] as Step;
    if (step.after !== "hidden") {
      if (step.lacking.length > 0) known.push(step);
      continue;
    }
    const before = steps[i - 1];
    const begin = i;
    while (steps[i + 1]?.after === "hidden") i += 1;
    const base =
      before === undefined ? "before the batch" : before.after === "shown" ? before.events.at(-1) : undefined;
    const own = steps.length === 1 ? steps : steps.slice(begin, i + 1);
    runs.push({ history, steps: own, base, until: steps[i + 1]?.time ?? endedAt });
  }
}

const ID = new TextEncoder().encode("_id");
const NO_EVENTS: readonly number[] = [];
const NO_SHARD_KEY: readonly ShardKeyField[] = [];

function latin1(bytes: Uint8Array, begin: number, end: number): string {
  return bufferOf(bytes).toString("latin1", begin, end);
}
