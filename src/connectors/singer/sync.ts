/**
 * A run of the tap: SCHEMA of each stream, then streams with changes until they are caught up, the others as a whole; each STATE
 * behind the records that it covers, and one at the end.
 */

import { isComplete } from "../../pipeline/position.ts";
import type { PumpResult } from "../../pipeline/pump.ts";
import { activateVersion, type SingerRecords, type SingerStream, versionOfNow } from "../../protocol/singer.ts";
import { openConnection } from "../../run/connection.ts";
import { checkIdentity, identityOf } from "../../run/source-identity.ts";
import type { Position } from "../../source/record.ts";
import { dataOf } from "../../source/unsent-events.ts";
import type { SourceIdentity } from "../../state/checkpoint.ts";
import { isAhead, resumptionOf, type StreamState, streamStateOf } from "../../state/stream-state.ts";
import { copyChanges, copyWhole, logCopies, platformRun, type PlatformRun } from "../copy.ts";
import type { Configured } from "../connector-config.ts";
import type { MessageOutput } from "../message-output.ts";
import { findWanted, type Found, warnOfCopies } from "../wanted-streams.ts";
import type { TapStream } from "./catalog.ts";
import { schemaMessage } from "./schema.ts";
import { type Bookmarks, stateMessage, stateOf } from "./state.ts";

/** How long (ms) records may wait for a STATE. */
const COMMIT_MS = 5_000;

export interface SyncOrder {
  readonly configured: Configured;
  readonly catalog: readonly TapStream[];
  readonly bookmarks: Bookmarks;
  readonly output: MessageOutput;
}

interface Reading extends TapStream, Found {
  readonly state: StreamState | undefined;
  readonly records: SingerStream;
  /** The version of the first record of this run. */
  readonly firstVersion: number;
  /** The target has rows of an earlier copy, which a new one replaces. */
  readonly replaces: boolean;
}

/** Resolves to whether everything has been read; false where the run was stopped. */
export async function syncStreams(order: SyncOrder): Promise<boolean> {
  const { configured, output } = order;
  const { invocation, target } = configured;
  await using connection = await openConnection(invocation, target);
  const source = identityOf(connection.server);
  const readings = (await findWanted(connection, order.catalog, invocation.log)).map((stream) =>
    readingOf(order, stream, source),
  );
  for (const reading of readings) {
    await output.say(schemaMessage(reading, reading.hasChanges, invocation.settings));
  }
  if (readings.length === 0) invocation.log.warn("no stream is selected: nothing is read");
  const run = platformRun(configured, connection, output);
  const bookmarks = new BookmarkWriter(output, order.bookmarks, source);
  const steps = [
    { own: readings.filter(({ hasChanges, state }) => hasChanges && state !== undefined), read: readChanges },
    // By a stream of their own, which begins now: what has changed before is in the copy.
    { own: readings.filter(({ hasChanges, state }) => hasChanges && state === undefined), read: readChanges },
    { own: readings.filter(({ hasChanges }) => !hasChanges), read: readWhole },
  ];
  const results: PumpResult[] = [];
  try {
    for (const { own, read } of steps) {
      if (own.length > 0) results.push(await read(run, own, bookmarks));
      if (results.some(({ outcome }) => outcome !== "finished")) break;
    }
  } finally {
    logCopies(run, "Singer", true);
  }
  if (results.every(({ outcome }) => outcome !== "cut")) await bookmarks.writeNew();
  return results.every(({ outcome }) => outcome === "finished");
}

/** @throws MongotapError `state` for a state of another cluster */
function readingOf({ configured, bookmarks }: SyncOrder, stream: TapStream & Found, source: SourceIdentity): Reading {
  const { settings } = configured.invocation;
  warnOfCopies(stream, configured.invocation.log);
  if (stream.only !== undefined) {
    const text = `${stream.name}: some fields are not selected, so those that the catalog does not have are left out too`;
    configured.invocation.log.info(text);
  }
  const state = stateOf(bookmarks, stream.id);
  if (state !== undefined) {
    checkIdentity(`the state of the stream ${stream.id}`, state.source, source, "or run with a full refresh");
  }
  const goesOn = canGoOn(stream, state);
  const before = state?.version ?? 0;
  const version = goesOn && before > 0 ? before : Math.max(versionOfNow(), before + 1);
  const { stream: name, excluded, only, hasChanges } = stream;
  return {
    ...stream,
    state: goesOn ? state : undefined,
    records: {
      stream: name,
      version,
      excluded,
      ...(only === undefined ? {} : { only }),
      hasChanges,
      columns: settings.columns,
    },
    firstVersion: version,
    replaces: state !== undefined || settings.activateVersion === "always",
  };
}

/**
 * Whether a copy goes on where the state is; else it begins again. A complete copy of what has no changes is repeated. The
 * state may be that of another collection, which had the name of the stream before.
 */
function canGoOn({ hasChanges, name, info }: Found, state: StreamState | undefined): boolean {
  if (state === undefined || state.namespace !== name) return false;
  if (hasChanges) return state.stream !== undefined;
  const { stream, collection } = state;
  return (
    stream === undefined &&
    collection?.phase === "copying" &&
    !isComplete(collection) &&
    collection.uuid === (info?.uuid ?? null)
  );
}

function recordsOf(readings: readonly Reading[]): SingerRecords {
  return { kind: "singer", streams: new Map(readings.map(({ name, records }) => [name, records])) };
}

function resumptionFor(readings: readonly Reading[]): ReturnType<typeof resumptionOf> {
  const states = new Map(readings.flatMap(({ name, state }) => (state === undefined ? [] : [[name, state]])));
  return resumptionOf(states, dataOf);
}

async function readChanges(
  run: PlatformRun,
  readings: readonly Reading[],
  bookmarks: BookmarkWriter,
): Promise<PumpResult> {
  const from = resumptionFor(readings);
  const due = readings.filter((reading) =>
    // Some targets apply this message before the records of earlier versions that they have buffered: the next run repeats it.
    reading.state === undefined ? hasReplacement(reading) : reading.state.activate === true,
  );
  const save = async (position: Position): Promise<void> => {
    // Not before the stream is open: if it cannot be opened, no rows come instead of the void ones.
    if (position.stream !== undefined) {
      for (const { records } of due.splice(0)) await bookmarks.output.say(activateVersion(records));
    }
    for (const reading of readings) {
      if (!isAhead(from, reading.name, position.stream, dataOf)) bookmarks.set(position, reading);
    }
    await bookmarks.write();
  };
  return await copyChanges(run, {
    namespaces: readings.map(({ namespace }) => namespace),
    messages: recordsOf(readings),
    from,
    before: readings.filter(({ state }) => state !== undefined).map(({ namespace }) => namespace),
    untilCaughtUp: true,
    commitMs: COMMIT_MS,
    save,
  });
}

/** A collection that was not found may be one that the user may no longer read: its rows stay. */
function hasReplacement({ replaces, info }: Reading): boolean {
  return replaces && info !== undefined;
}

async function readWhole(
  run: PlatformRun,
  readings: readonly Reading[],
  bookmarks: BookmarkWriter,
): Promise<PumpResult> {
  const save = (position: Position): Promise<void> => {
    for (const reading of readings) bookmarks.set(position, reading);
    return bookmarks.write();
  };
  const result = await copyWhole(
    run,
    {
      namespaces: readings.map(({ namespace }) => namespace),
      messages: recordsOf(readings),
      from: resumptionFor(readings),
      commitMs: COMMIT_MS,
      save,
    },
    readings.flatMap(({ info }) => info ?? []),
  );
  if (result.outcome !== "finished") return result;
  for (const reading of readings) {
    if (hasReplacement(reading)) await bookmarks.output.say(activateVersion(reading.records));
  }
  return result;
}

/** Keeps the bookmarks of all streams, also of those that are not read, and writes them as one STATE. */
class BookmarkWriter {
  readonly output: MessageOutput;
  readonly #bookmarks: Map<string, unknown>;
  readonly #source: SourceIdentity;

  constructor(output: MessageOutput, bookmarks: Bookmarks, source: SourceIdentity) {
    this.output = output;
    this.#bookmarks = new Map(bookmarks);
    this.#source = source;
  }

  set(position: Position, { name, id, records: { version }, firstVersion, hasChanges }: Reading): void {
    const activate = hasChanges && version > firstVersion ? { activate: true as const } : {};
    this.#bookmarks.set(
      id,
      streamStateOf(position, name, { source: this.#source, namespace: name, version, ...activate }),
    );
  }

  write(): Promise<void> {
    return this.output.say(stateMessage(this.#bookmarks));
  }

  /** Writes the STATE, unless it is the last message. */
  async writeNew(): Promise<void> {
    if (!this.output.hasJustSaid(stateMessage(this.#bookmarks))) await this.write();
  }
}
