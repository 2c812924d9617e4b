/**
 * `airbyte read`: streams with changes are captured until they are caught up, the others are copied as a whole. The state of a
 * stream follows the records that it covers.
 */

import type { Connection } from "../../connect/client.ts";
import { newStats } from "../../observe/stats.ts";
import { isComplete } from "../../pipeline/position.ts";
import type { AirbyteRecords } from "../../protocol/airbyte.ts";
import { openConnection } from "../../run/connection.ts";
import { checkIdentity, identityOf, isSameCluster } from "../../run/source-identity.ts";
import { measure } from "../../source/catalog.ts";
import type { Position } from "../../source/record.ts";
import { dataOf } from "../../source/unsent-events.ts";
import type { SourceIdentity } from "../../state/checkpoint.ts";
import { parseStreamState, resumptionOf, type StreamState, streamStateOf } from "../../state/stream-state.ts";
import { copyChanges, type CopyResult, copyWhole, logCopies, type PlatformRun } from "../copy.ts";
import type { MessageOutput } from "../message-output.ts";
import type { Configured } from "../connector-config.ts";
import { findWanted, type Found } from "../wanted-streams.ts";
import type { ConfiguredStream } from "./configured-catalog.ts";
import { estimateTrace, statusTrace } from "./messages.ts";
import { keyOf, type StateOf } from "./state.ts";
import { type Saved, StateWriter } from "./state-writer.ts";

/** How long (ms) records may wait for a state. */
const COMMIT_MS = 5_000;

export interface ReadOrder {
  readonly configured: Configured;
  readonly catalog: readonly ConfiguredStream[];
  /** By the key of the stream (state.ts). */
  readonly states: ReadonlyMap<string, StateOf>;
  readonly output: MessageOutput;
}

/** A stream of this read. */
interface Reading extends ConfiguredStream, Found {
  readonly state: StreamState | undefined;
}

/** What the steps of a read share. */
interface Read {
  readonly run: PlatformRun;
  readonly columns: AirbyteRecords["columns"];
  readonly source: SourceIdentity;
  readonly writer: StateWriter;
}

/** Resolves to whether everything has been read; false where the run was stopped. */
export async function readStreams(order: ReadOrder): Promise<boolean> {
  const { configured, output } = order;
  const { invocation, target } = configured;
  await using connection = await openConnection(invocation, target);
  const source = identityOf(connection.server);
  const all = await readingsOf(order, connection, source);
  for (const { descriptor } of all) await output.say(statusTrace(descriptor, "STARTED"));
  output.announce(all.map(({ name, descriptor }) => [name, () => statusTrace(descriptor, "RUNNING")]));
  await estimate(all, connection, output);
  const { settings, context } = invocation;
  const { signal } = context;
  const run: PlatformRun = { invocation, connection, target, sink: output, signal, stats: newStats(performance.now()) };
  const writer = writerOf(order, all);
  const results: CopyResult[] = [];
  const incomplete = new Set(all.map(({ descriptor }) => descriptor));
  const steps = [
    { readings: all.filter((reading) => reading.hasChanges && hasPosition(reading)), read: readChanges },
    // By a stream of their own, which begins now: what has changed before is in the copy.
    { readings: all.filter((reading) => reading.hasChanges && !hasPosition(reading)), read: readChanges },
    { readings: all.filter(({ hasChanges }) => !hasChanges), read: readWhole },
  ];
  try {
    for (const { readings, read } of steps) {
      if (readings.length === 0) continue;
      const result = await read({ run, columns: settings.columns, source, writer }, readings);
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

function hasPosition({ state }: Reading): boolean {
  return state?.stream !== undefined;
}

/**
 * The streams, each with its state. A copy begins anew where the state is of another cluster.
 * @throws MongotapError `state` for a state of another cluster, where it has a position among changes, and for a foreign one
 */
async function readingsOf(
  { catalog, states, configured }: ReadOrder,
  connection: Connection,
  source: SourceIdentity,
): Promise<Reading[]> {
  const found = await findWanted(connection, catalog, configured.invocation.log);
  return found.map((stream) => {
    const { name } = stream.descriptor;
    const found = states.get(keyOf(stream.descriptor));
    if (found === undefined) return { ...stream, state: undefined };
    const state = parseStreamState(found.state, name);
    if (!stream.hasChanges && !isSameCluster(state.source, source)) return { ...stream, state: undefined };
    checkIdentity(`the state of the stream ${name}`, state.source, source, "or start over with --fresh");
    return { ...stream, state };
  });
}

/** A state of all streams keeps those of streams that are not read. */
function writerOf({ configured, output, states }: ReadOrder, all: readonly Reading[]): StateWriter {
  const read = new Set(all.map(({ descriptor }) => keyOf(descriptor)));
  const others = [...states].filter(([key]) => !read.has(key)).map(([, state]) => state);
  const writer = new StateWriter(output, configured.invocation.settings.stateType === "global", others);
  for (const reading of all) if (reading.state !== undefined) writer.begin(reading, reading.state);
  return writer;
}

/** Says how much a stream is going to send, where it is copied. */
async function estimate(all: readonly Reading[], { client }: Connection, output: MessageOutput): Promise<void> {
  for (const { info, state, descriptor } of all) {
    if (info === undefined || info.type === "view" || state?.collection?.phase === "live") continue;
    await output.say(estimateTrace(descriptor, await measure(client, info)));
  }
}

function recordsOf(columns: AirbyteRecords["columns"], readings: readonly Reading[]): AirbyteRecords {
  return { kind: "airbyte", columns, streams: new Map(readings.map(({ name, descriptor }) => [name, descriptor])) };
}

async function readChanges({ run, columns, source, writer }: Read, readings: readonly Reading[]): Promise<CopyResult> {
  const states = new Map(readings.flatMap(({ name, state }) => (state?.stream === undefined ? [] : [[name, state]])));
  const from = resumptionOf(states, dataOf);
  const stateOf = (position: Position, { name, state, generation, sync }: Reading): StreamState => {
    const ahead = from.sentUpTo.get(name);
    const { stream } = position;
    // It keeps its state until the others have come as far.
    const isAhead = ahead !== undefined && stream !== undefined && dataOf(stream) <= dataOf(ahead);
    if (isAhead && state !== undefined) return state;
    return streamStateOf(position, name, { source, ...numbersOf(generation, sync) });
  };
  const result = await copyChanges(run, {
    namespaces: readings.map(({ namespace }) => namespace),
    messages: recordsOf(columns, readings),
    from,
    before: readings.filter(({ name }) => states.has(name)).map(({ namespace }) => namespace),
    untilCaughtUp: true,
    commitMs: COMMIT_MS,
    save: (position) => writer.save(position, { streams: readings, stateOf, isLast: false }),
  });
  await saveLast(writer, result, { streams: readings, stateOf });
  return result;
}

async function readWhole({ run, columns, source, writer }: Read, readings: readonly Reading[]): Promise<CopyResult> {
  const states = new Map(readings.flatMap((reading) => (canGoOn(reading) ? [[reading.name, reading.state]] : [])));
  const stateOf = (position: Position, { name, generation, sync }: Reading): StreamState =>
    streamStateOf(position, name, { source, ...numbersOf(generation, sync) });
  const result = await copyWhole(
    run,
    {
      namespaces: readings.map(({ namespace }) => namespace),
      messages: recordsOf(columns, readings),
      from: resumptionOf(states, dataOf),
      commitMs: COMMIT_MS,
      save: (position) => writer.save(position, { streams: readings, stateOf, isLast: false }),
    },
    readings.flatMap(({ info }) => info ?? []),
  );
  await saveLast(writer, result, { streams: readings, stateOf });
  return result;
}

/** Writes the states of all streams at the end of a copy, unless the reader takes no more. */
async function saveLast(
  writer: StateWriter,
  { position, outcome }: CopyResult,
  saved: Omit<Saved<Reading>, "isLast">,
): Promise<void> {
  if (position !== undefined && outcome !== "cut") await writer.save(position, { ...saved, isLast: true });
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
