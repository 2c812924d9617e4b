/**
 * The steps of a read: streams with changes are captured until they are caught up, or, with `newestOnly`, copied without changes
 * and then read with the newest change of each document; the others are copied as a whole.
 */

import type { Connection } from "../../connect/client.ts";
import { MongotapError, must } from "../../errors.ts";
import { recoveryOf } from "../../pipeline/lost-history.ts";
import { isComplete, liveAfter } from "../../pipeline/position.ts";
import type { PumpResult } from "../../pipeline/pump.ts";
import type { AirbyteRecords } from "../../protocol/airbyte.ts";
import { bucketsOf } from "../../source/buckets.ts";
import { collectionUuid } from "../../source/catalog.ts";
import { later } from "../../source/cluster-time.ts";
import {
  BEGINNING,
  type ClusterTime,
  type CollectionState,
  type Position,
  type StreamPosition,
} from "../../source/record.ts";
import { dataOf, startsAfterOf } from "../../source/unsent-events.ts";
import type { SourceIdentity } from "../../state/checkpoint.ts";
import { isAhead, resumptionOf, type StreamState, streamStateOf } from "../../state/stream-state.ts";
import { type ChangesOrder, copyChanges, copyNewest, copyWhole, pinStream, type PlatformRun } from "../copy.ts";
import type { Found } from "../wanted-streams.ts";
import type { ConfiguredStream } from "./configured-catalog.ts";
import { type Loss, lossError } from "./lost-streams.ts";
import type { Saved, StateWriter } from "./state-writer.ts";

/** How long (ms) records may wait for a state. */
const COMMIT_MS = 5_000;

/** A stream of this read. */
export interface Reading extends ConfiguredStream, Found {
  readonly state: StreamState | undefined;
}

/** What the steps of a read share. */
export interface Read {
  readonly run: PlatformRun;
  readonly columns: AirbyteRecords["columns"];
  readonly source: SourceIdentity;
  readonly writer: StateWriter;
}

function recordsOf(columns: AirbyteRecords["columns"], readings: readonly Reading[]): AirbyteRecords {
  return { kind: "airbyte", columns, streams: new Map(readings.map(({ name, descriptor }) => [name, descriptor])) };
}

/** The end of a step. */
export interface StepResult {
  readonly results: readonly PumpResult[];
  /** The streams that have been read to their end, unless a result says that the run was stopped. */
  readonly read: readonly Reading[];
  readonly losses: readonly Loss<Reading>[];
}

/** A step of a read: resolves when its streams have been read, or the run was stopped. */
export type Step = (read: Read, readings: readonly Reading[]) => Promise<StepResult>;

/** Every change. */
export const readChanges: Step = (read, readings) => readKept(read, readings, copyChanges);

/** Of each document the newest change, where a copy has been completed before; a new copy where history is lost and the user allows it. */
export const readNewest: Step = async (read, readings) => {
  const kept = await readKept(read, readings, copyNewest);
  const isStopped = kept.results.some(({ outcome }) => outcome !== "finished");
  if (kept.losses.length === 0 || isStopped) return kept;
  const { settings, log } = read.run.invocation;
  const losses: Loss<Reading>[] = [];
  const again: Reading[] = [];
  for (const { streams, error } of kept.losses) {
    const before = streams.reduce((most, { state }) => Math.max(most, state?.losses ?? 0), 0);
    const recovery = recoveryOf(error, { collections: {}, losses: before }, settings.onHistoryLost);
    const { position, goOn } = recovery;
    if (position === undefined || !goOn) losses.push({ streams, error: recovery.error });
    if (position === undefined) continue;
    const stateOf = (at: Position, { name }: Reading): StreamState => streamStateOf(at, name, { source: read.source });
    if (goOn) {
      log.warn(`${lossError([{ streams, error }]).message}; copying again`);
      again.push(...streams.map((stream) => ({ ...stream, state: stateOf(position, stream) })));
    } else await read.writer.save(position, { streams, stateOf, isForAll: true });
  }
  if (again.length === 0) return { ...kept, losses };
  const copied = await readPinned(read, again);
  return { results: [...kept.results, ...copied.results], read: [...kept.read, ...copied.read], losses };
};

type Copy = (run: PlatformRun, order: ChangesOrder) => Promise<PumpResult>;

/** Reads the streams; where the history of some is lost, the others without them. */
async function readKept(read: Read, readings: readonly Reading[], copy: Copy): Promise<StepResult> {
  const losses: Loss<Reading>[] = [];
  for (let rest = readings; rest.length > 0;) {
    const end = await readStream(read, rest, copy);
    if (!("error" in end)) return { results: [end], read: rest, losses };
    losses.push(end);
    rest = end.others;
    if (rest.length > 0) read.run.invocation.log.warn(`${lossError([end]).message}; the other streams are read`);
  }
  return { results: [], read: [], losses };
}

interface Interrupted extends Loss<Reading> {
  /** Nothing of these has been sent, and their history may be there. */
  readonly others: readonly Reading[];
}

async function readStream(
  { run, columns, source, writer }: Read,
  readings: readonly Reading[],
  copy: Copy,
): Promise<PumpResult | Interrupted> {
  const states = new Map(readings.flatMap(({ name, state }) => (state?.stream === undefined ? [] : [[name, state]])));
  const from = resumptionOf(states, dataOf);
  const stateOf = (position: Position, { name, state, generation, sync }: Reading): StreamState => {
    if (state !== undefined && isAhead(from, name, position.stream, dataOf)) return state;
    return streamStateOf(position, name, { source, ...numbersOf(generation, sync) });
  };
  let reached = from.position?.stream;
  let isUnsaved = true;
  const order: ChangesOrder = {
    namespaces: readings.map(({ namespace }) => namespace),
    messages: recordsOf(columns, readings),
    from,
    before: readings.filter(({ name }) => states.has(name)).map(({ namespace }) => namespace),
    untilCaughtUp: true,
    commitMs: COMMIT_MS,
    save(position) {
      reached = position.stream ?? reached;
      isUnsaved = false;
      return writer.save(position, { streams: readings, stateOf, isForAll: false });
    },
  };
  try {
    const result = await copy(run, order);
    await saveLast(writer, result, { streams: readings, stateOf });
    return result;
  } catch (error) {
    if (!(error instanceof MongotapError) || error.kind !== "history-lost") throw error;
    const ahead = readings.filter(({ name }) => isAhead(from, name, reached, dataOf));
    const streams = readings.filter((reading) => !ahead.includes(reading));
    // Of a stream that is ahead documents may have been sent, but no changes.
    return { error, streams, others: ahead.filter((reading) => isUnsaved || isCopied(reading)) };
  }
}

/** What is there. */
export const readWhole: Step = async ({ run, columns, source, writer }, readings) => {
  const states = new Map<string, StreamState>();
  for (const reading of readings) {
    if (!canGoOn(reading)) continue;
    const { name, state } = reading;
    if (isWhole(state)) {
      run.invocation.log.info(`${name} is complete in this generation_id and sync_id: it is not read again`);
    } else if (!(await isOfSame(run.connection, reading))) continue;
    states.set(name, state);
  }
  const stateOf = (position: Position, { name, generation, sync }: Reading): StreamState =>
    streamStateOf(position, name, { source, ...numbersOf(generation, sync) });
  const result = await copyWhole(
    run,
    {
      namespaces: readings.map(({ namespace }) => namespace),
      messages: recordsOf(columns, readings),
      from: resumptionOf(states, dataOf),
      commitMs: COMMIT_MS,
      save: (position) => writer.save(position, { streams: readings, stateOf, isForAll: false }),
    },
    readings.flatMap(({ info }) => info ?? []),
  );
  await saveLast(writer, result, { streams: readings, stateOf });
  return { results: [result], read: readings, losses: [] };
};

/** Whether the copy of a stream has been completed, so that only its changes are read from now on. */
export function isCopied({ state }: Reading): boolean {
  if (state?.stream === undefined) return false;
  return state.collection === undefined || state.collection.phase === "live";
}

/**
 * What is there, without the changes of the meantime: the next read takes them from where the copy began, and each document has
 * one record here and one there.
 */
export const readPinned: Step = async ({ run, columns, source, writer }, readings) => {
  const begun = new Map(readings.flatMap((reading) => (isBegun(reading) ? [[reading.name, reading.state]] : [])));
  const fresh = readings.filter(({ name }) => !begun.has(name));
  const pinned =
    fresh.length === 0
      ? undefined
      : await pinStream(
          run,
          fresh.map(({ namespace }) => namespace),
        );
  const pinOf = (name: string): StreamPosition =>
    must(begun.get(name)?.stream ?? pinned?.position, "where the copy began");
  const stateOf = ({ collections }: Position, { name, state, info, generation, sync }: Reading): StreamState => {
    const numbers = { source, ...numbersOf(generation, sync) };
    const position = {
      collections: withPhase(collections, name, info?.uuid ?? null),
      stream: pinOf(name),
      // The copy is proved by the changes since its beginning, which the next read has.
      ...(state?.losses === undefined ? {} : { losses: state.losses }),
    };
    return streamStateOf(position, name, numbers);
  };
  const { position } = resumptionOf(begun, dataOf);
  await writer.save({ collections: position?.collections ?? {} }, { streams: readings, stateOf, isForAll: true });
  const oldest = [...begun.values()].map(({ stream }) => (stream === undefined ? BEGINNING : startsAfterOf(stream)));
  const notBefore = oldest.reduce<ClusterTime>(later, pinned?.startsAfter ?? BEGINNING);
  const result = await copyWhole(
    run,
    {
      namespaces: readings.map(({ namespace }) => namespace),
      messages: recordsOf(columns, readings),
      from: { position: position && { collections: position.collections }, sentUpTo: new Map() },
      commitMs: COMMIT_MS,
      save: (at) => writer.save(at, { streams: readings, stateOf, isForAll: false }),
    },
    readings.flatMap(({ info }) => info ?? []),
    notBefore,
  );
  await saveLast(writer, result, { streams: readings, stateOf });
  return { results: [result], read: readings, losses: [] };
};

type Begun = Reading & { readonly state: StreamState };

/** Whether a copy goes on: of the collection that is there now. */
function isBegun(reading: Reading): reading is Begun {
  const { state, info } = reading;
  const collection = state?.collection;
  if (state?.stream === undefined || info === undefined) return false;
  return (collection?.phase === "pinned" || collection?.phase === "copying") && collection.uuid === info.uuid;
}

/** A collection that the copy has not come to is pinned, and one that has been read to its end is live. */
function withPhase(
  collections: Position["collections"],
  name: string,
  uuid: string | null,
): Record<string, CollectionState> {
  const state = collections[name];
  if (state === undefined) return { [name]: { phase: "pinned", uuid } };
  return { [name]: state.phase === "copying" && isComplete(state) ? liveAfter(state) : state };
}

/** Writes the states of all streams at the end of a copy, unless the reader takes no more. */
async function saveLast(
  writer: StateWriter,
  { position, outcome }: PumpResult,
  saved: Omit<Saved<Reading>, "isForAll">,
): Promise<void> {
  if (position !== undefined && outcome !== "cut") await writer.save(position, { ...saved, isForAll: true });
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
  return !isWhole(state) || (sync !== undefined && state.sync === sync);
}

function isWhole({ collection }: StreamState): boolean {
  return collection?.phase === "copying" && isComplete(collection);
}

/** Whether the copy is of the collection that is there now. One of a time series may be of its buckets. */
async function isOfSame({ client }: Connection, { state, info, namespace }: Resumed): Promise<boolean> {
  const { collection } = state;
  if (collection?.phase !== "copying" || info === undefined) return false;
  if (collection.uuid === info.uuid) return true;
  return info.type === "timeseries" && collection.uuid === (await collectionUuid(client, bucketsOf(namespace)));
}

function numbersOf(generation: number | undefined, sync: number | undefined): Pick<StreamState, "generation" | "sync"> {
  return { ...(generation === undefined ? {} : { generation }), ...(sync === undefined ? {} : { sync }) };
}
