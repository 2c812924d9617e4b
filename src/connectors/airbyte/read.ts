/**
 * `airbyte read`: streams with changes are captured until they are caught up, the others are copied as a whole. The state of a
 * stream follows the records that it covers.
 */

import type { Connection } from "../../connect/client.ts";
import { newStats } from "../../observe/stats.ts";
import { isComplete } from "../../pipeline/position.ts";
import type { AirbyteRecords } from "../../protocol/airbyte.ts";
import { openConnection } from "../../run/connection.ts";
import { checkIdentity, identityOf } from "../../run/source-identity.ts";
import { measure } from "../../source/catalog.ts";
import type { Position } from "../../source/record.ts";
import { dataOf } from "../../source/unsent-events.ts";
import type { SourceIdentity } from "../../state/checkpoint.ts";
import { resumptionOf, type StreamState, streamStateOf } from "../../state/stream-state.ts";
import { copyChanges, type CopyResult, copyWhole, logCopies, type PlatformRun } from "../copy.ts";
import type { MessageOutput } from "../message-output.ts";
import type { Configured } from "../connector-config.ts";
import { findWanted, type Found } from "../wanted-streams.ts";
import type { ConfiguredStream } from "./configured-catalog.ts";
import { estimateTrace, statusTrace } from "./messages.ts";
import { globalMessage, keyOf, streamMessage } from "./state.ts";

/** How long (ms) records may wait for a state. */
const COMMIT_MS = 5_000;
/** How often (ms) streams without records have a state as well: a position that is too old is lost. */
const ALL_STATES_MS = 60_000;

export interface ReadOrder {
  readonly configured: Configured;
  readonly catalog: readonly ConfiguredStream[];
  /** By the key of the stream (state.ts). */
  readonly states: ReadonlyMap<string, StreamState>;
  readonly output: MessageOutput;
}

/** A stream of this read. */
interface Reading extends ConfiguredStream, Found {
  readonly state: StreamState | undefined;
}

/** Resolves to whether everything has been read; false where the run was stopped. */
export async function readStreams(order: ReadOrder): Promise<boolean> {
  const { configured, output } = order;
  const { invocation, target } = configured;
  await using connection = await openConnection(invocation, target);
  const source = identityOf(connection.server);
  const all = await readingsOf(order, connection, source);
  for (const { descriptor } of all) await output.say(statusTrace(descriptor, "STARTED"));
  await estimate(all, connection, output);
  const { signal } = invocation.context;
  const run: PlatformRun = { invocation, connection, target, sink: output, signal, stats: newStats(performance.now()) };
  const results: CopyResult[] = [];
  const incomplete = new Set(all.map(({ descriptor }) => descriptor));
  const steps = [
    { readings: all.filter(({ hasChanges }) => hasChanges), read: readChanges },
    { readings: all.filter(({ hasChanges }) => !hasChanges), read: readWhole },
  ];
  try {
    for (const { readings, read } of steps) {
      if (readings.length === 0) continue;
      const result = await read(run, order, readings, source);
      results.push(result);
      if (result.outcome !== "finished") break;
      for (const { descriptor } of readings) {
        await output.say(statusTrace(descriptor, "COMPLETE"));
        incomplete.delete(descriptor);
      }
    }
  } finally {
    for (const descriptor of incomplete) void output.say(statusTrace(descriptor, "INCOMPLETE")).catch(() => undefined);
    logCopies(run, results, "Airbyte", true);
  }
  return results.every(({ outcome }) => outcome === "finished");
}

/** @throws MongotapError `state` for a state of another cluster */
async function readingsOf(
  { catalog, states, configured }: ReadOrder,
  connection: Connection,
  source: SourceIdentity,
): Promise<Reading[]> {
  const found = await findWanted(connection, catalog, configured.invocation.log);
  return found.map((stream) => {
    const { name } = stream.descriptor;
    const state = states.get(keyOf(stream.descriptor));
    if (state !== undefined)
      checkIdentity(`the state of the stream ${name}`, state.source, source, "or reset the stream");
    return { ...stream, state };
  });
}

/** Says how much a stream is going to send, where it is copied. */
async function estimate(all: readonly Reading[], { client }: Connection, output: MessageOutput): Promise<void> {
  for (const { info, state, descriptor } of all) {
    if (info === undefined || state?.collection?.phase === "live") continue;
    await output.say(estimateTrace(descriptor, await measure(client, info)));
  }
}

function recordsOf(order: ReadOrder, readings: readonly Reading[]): AirbyteRecords {
  const { columns } = order.configured.invocation.settings;
  return { kind: "airbyte", columns, streams: new Map(readings.map(({ name, descriptor }) => [name, descriptor])) };
}

async function readChanges(
  run: PlatformRun,
  order: ReadOrder,
  readings: readonly Reading[],
  source: SourceIdentity,
): Promise<CopyResult> {
  const states = new Map(readings.flatMap(({ name, state }) => (state?.stream === undefined ? [] : [[name, state]])));
  const from = resumptionOf(states, dataOf);
  const writer = new StateWriter(order, readings, (position, { name, generation, sync }) => {
    // A stream that is ahead of the others keeps its state until they have come as far.
    const ahead = from.sentUpTo.get(name);
    const { stream } = position;
    if (ahead !== undefined && stream !== undefined && dataOf(stream) <= dataOf(ahead)) return undefined;
    return streamStateOf(position, name, { source, ...numbersOf(generation, sync) });
  });
  const result = await copyChanges(run, {
    namespaces: readings.map(({ namespace }) => namespace),
    messages: recordsOf(order, readings),
    from,
    before: readings.filter(({ name }) => states.has(name)).map(({ namespace }) => namespace),
    untilCaughtUp: true,
    commitMs: COMMIT_MS,
    save: (position) => writer.save(position, false),
  });
  if (result.position !== undefined && result.outcome !== "cut") await writer.save(result.position, true);
  return result;
}

async function readWhole(
  run: PlatformRun,
  order: ReadOrder,
  readings: readonly Reading[],
  source: SourceIdentity,
): Promise<CopyResult> {
  const states = new Map(readings.flatMap((reading) => (canGoOn(reading) ? [[reading.name, reading.state]] : [])));
  const writer = new StateWriter(order, readings, (position, { name, generation, sync }) =>
    streamStateOf(position, name, { source, ...numbersOf(generation, sync) }),
  );
  const result = await copyWhole(
    run,
    {
      namespaces: readings.map(({ namespace }) => namespace),
      messages: recordsOf(order, readings),
      from: resumptionOf(states, dataOf),
      commitMs: COMMIT_MS,
      save: (position) => writer.save(position, false),
    },
    readings.flatMap(({ info }) => info ?? []),
  );
  if (result.position !== undefined && result.outcome !== "cut") await writer.save(result.position, true);
  return result;
}

type Resumed = Reading & { readonly state: StreamState };

/**
 * A copy goes on within one generation, and a complete one is not repeated within one run, of which this may be a later
 * attempt. Clients that always ask for increments have no generations: their complete copies are repeated.
 */
function canGoOn(reading: Reading): reading is Resumed {
  const { state, generation, sync, wantsChanges } = reading;
  if (state?.collection?.phase !== "copying" || state.stream !== undefined) return false;
  if (wantsChanges) return false;
  if (generation === undefined || state.generation !== generation) return false;
  return !isComplete(state.collection) || (sync !== undefined && state.sync === sync);
}

function numbersOf(generation: number | undefined, sync: number | undefined): Pick<StreamState, "generation" | "sync"> {
  return { ...(generation === undefined ? {} : { generation }), ...(sync === undefined ? {} : { sync }) };
}

/** Writes the states of the streams of one copy, each behind its records. */
class StateWriter {
  readonly #output: MessageOutput;
  readonly #readings: readonly Reading[];
  readonly #stateOf: (position: Position, reading: Reading) => StreamState | undefined;
  readonly #isGlobal: boolean;
  /** By `db.collection`, the phase in the last state. */
  readonly #phases = new Map<string, string | undefined>();
  /** By `db.collection`, the last state as text. */
  readonly #last = new Map<string, string>();
  /** When all streams had a state, by a clock that only goes forward. */
  #allAt = performance.now();

  constructor(
    { output, configured }: ReadOrder,
    readings: readonly Reading[],
    stateOf: (position: Position, reading: Reading) => StreamState | undefined,
  ) {
    this.#output = output;
    this.#readings = readings;
    this.#stateOf = stateOf;
    this.#isGlobal = configured.invocation.settings.stateType === "global";
  }

  /** Writes the states at `position` of the streams that have moved; `isLast`: of all. */
  async save(position: Position, isLast: boolean): Promise<void> {
    const isForAll = isLast || this.#isGlobal || performance.now() - this.#allAt >= ALL_STATES_MS;
    if (isForAll) this.#allAt = performance.now();
    const states = this.#readings.flatMap((reading) => {
      const { name, descriptor } = reading;
      const phase = position.collections[name]?.phase;
      const isDue = isForAll || this.#output.hasCount(name) || this.#phases.get(name) !== phase;
      const state = isDue ? this.#stateOf(position, reading) : undefined;
      if (state === undefined || !this.#isNew(name, state)) return [];
      this.#phases.set(name, phase);
      return [{ name, stream: descriptor, state }];
    });
    if (states.length === 0) return;
    const messages = this.#isGlobal
      ? [this.#globalOf(position, states)]
      : states.map((each) => streamMessage(each, this.#output.takeCount(each.name)));
    await this.#output.say(...messages);
  }

  /** Whether the state is another one than the last, or follows records. One state holds all streams where it is global. */
  #isNew(name: string, state: StreamState): boolean {
    const text = JSON.stringify(state);
    const isNew = this.#isGlobal || text !== this.#last.get(name) || this.#output.hasCount(name);
    this.#last.set(name, text);
    return isNew;
  }

  #globalOf(position: Position, states: Parameters<typeof globalMessage>[0]): string {
    const records = this.#readings.reduce((sum, { name }) => sum + this.#output.takeCount(name), 0);
    const shared = position.stream === undefined ? {} : { stream: position.stream };
    return globalMessage(states, shared, records);
  }
}
