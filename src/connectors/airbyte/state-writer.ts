/** Writes the states of streams, each behind the records that it covers: one for each stream, or one for all. */

import type { Position } from "../../source/record.ts";
import type { StreamState } from "../../state/stream-state.ts";
import type { StreamDescriptor } from "../../protocol/airbyte.ts";
import type { MessageOutput } from "../message-output.ts";
import { globalMessage, type StateOf, streamMessage } from "./state.ts";

/** How often (ms) streams without records have a state as well: a position that is too old is lost. */
const ALL_STATES_MS = 60_000;

/** A stream of which states are written. */
export interface Stateful {
  /** `db.collection` */
  readonly name: string;
  readonly descriptor: StreamDescriptor;
}

export interface Saved<S extends Stateful> {
  readonly streams: readonly S[];
  readonly stateOf: (position: Position, stream: S) => StreamState;
  /** All streams have a state, not only those that have moved: at the beginning of a copy, and at the end. */
  readonly isForAll: boolean;
}

export class StateWriter {
  readonly #output: MessageOutput;
  readonly #isGlobal: boolean;
  /** By `db.collection`, the state that the platform has. */
  readonly #known = new Map<string, StateOf<StreamState>>();
  /** Of streams that are not read: a state of all streams must keep theirs. */
  readonly #others: readonly StateOf[];
  /** The streams that have had records or states in this run. */
  readonly #names = new Set<string>();
  #shared: Position["stream"];
  /** When all streams had a state, by a clock that only goes forward. */
  #allAt = performance.now();

  constructor(output: MessageOutput, isGlobal: boolean, others: readonly StateOf[]) {
    this.#output = output;
    this.#isGlobal = isGlobal;
    this.#others = others;
  }

  /** Sets what the platform has of a stream before the run. */
  begin({ name, descriptor }: Stateful, state: StreamState): void {
    this.#known.set(name, { stream: descriptor, state });
    this.#names.add(name);
  }

  /** Writes the states at `position` of the streams that have moved. */
  async save<S extends Stateful>(position: Position, { streams, stateOf, isForAll: isAsked }: Saved<S>): Promise<void> {
    const isForAll = isAsked || this.#isGlobal || performance.now() - this.#allAt >= ALL_STATES_MS;
    if (isForAll) this.#allAt = performance.now();
    const due = streams.flatMap((stream) => {
      const { name, descriptor } = stream;
      this.#names.add(name);
      const known = this.#known.get(name)?.state;
      const isDue =
        isForAll || this.#output.hasCount(name) || known?.collection?.phase !== position.collections[name]?.phase;
      if (!isDue) return [];
      const state = stateOf(position, stream);
      this.#known.set(name, { stream: descriptor, state });
      const isNew = this.#output.hasCount(name) || JSON.stringify(state) !== JSON.stringify(known);
      return isNew ? [{ name, stream: descriptor, state }] : [];
    });
    this.#shared = position.stream ?? this.#shared;
    if (due.length === 0) return;
    const messages = this.#isGlobal
      ? [this.#global()]
      : due.map((each) => streamMessage(each, this.#output.takeCount(each.name)));
    await this.#output.say(...messages);
  }

  #global(): string {
    const records = [...this.#names].reduce((sum, name) => sum + this.#output.takeCount(name), 0);
    return globalMessage([...this.#others, ...this.#known.values()], this.#shared, records);
  }
}
