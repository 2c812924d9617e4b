/**
 * `airbyte read`: streams with changes are captured until they are caught up, the others are copied as a whole. The state of a
 * stream follows the records that it covers.
 */

import type { Connection } from "../../connect/client.ts";
import type { PumpResult } from "../../pipeline/pump.ts";
import { openConnection } from "../../run/connection.ts";
import { checkIdentity, identityOf, isSameCluster } from "../../run/source-identity.ts";
import { measure } from "../../source/catalog.ts";
import type { SourceIdentity } from "../../state/checkpoint.ts";
import { parseStreamState } from "../../state/stream-state.ts";
import { logCopies, platformRun } from "../copy.ts";
import type { MessageOutput } from "../message-output.ts";
import type { Configured } from "../connector-config.ts";
import { findWanted, warnOfCopies } from "../wanted-streams.ts";
import type { ConfiguredStream } from "./configured-catalog.ts";
import { type Loss, lossError } from "./lost-streams.ts";
import { estimateTrace, statusTrace } from "./messages.ts";
import { keyOf, type StateOf } from "./state.ts";
import { StateWriter } from "./state-writer.ts";
import { isCopied, readChanges, type Reading, readNewest, readPinned, readWhole, type Step } from "./steps.ts";

export interface ReadOrder {
  readonly configured: Configured;
  readonly catalog: readonly ConfiguredStream[];
  /** By the key of the stream (state.ts). */
  readonly states: ReadonlyMap<string, StateOf>;
  readonly output: MessageOutput;
}

/**
 * Resolves to whether everything has been read; false where the run was stopped.
 * @throws MongotapError `history-lost`, when the other streams have been read, for those whose changes the server no longer holds
 */
export async function readStreams(order: ReadOrder): Promise<boolean> {
  const { configured, output } = order;
  const { invocation, target } = configured;
  await using connection = await openConnection(invocation, target);
  const source = identityOf(connection.server);
  const all = await readingsOf(order, connection, source);
  for (const { descriptor } of all) await output.say(statusTrace(descriptor, "STARTED"));
  output.announce(all.map(({ name, descriptor }) => [name, () => statusTrace(descriptor, "RUNNING")]));
  await estimate(all, connection, output);
  const { settings } = invocation;
  if (all.length === 0) invocation.log.warn("the catalog has no streams: nothing is read");
  const run = platformRun(configured, connection, output);
  const writer = writerOf(order, all);
  const results: PumpResult[] = [];
  const losses: Loss<Reading>[] = [];
  const incomplete = new Set(all.map(({ descriptor }) => descriptor));
  const steps = stepsOf(all, settings.newestOnly);
  try {
    for (const { readings, read } of steps) {
      if (readings.length === 0) continue;
      const end = await read({ run, columns: settings.columns, source, writer }, readings);
      results.push(...end.results);
      losses.push(...end.losses);
      if (results.some(({ outcome }) => outcome !== "finished")) break;
      for (const { descriptor } of end.read) {
        await output.say(statusTrace(descriptor, "COMPLETE"));
        incomplete.delete(descriptor);
      }
    }
  } finally {
    for (const descriptor of incomplete) void output.say(statusTrace(descriptor, "INCOMPLETE")).catch(() => undefined);
    logCopies(run, "Airbyte", true);
  }
  if (results.some(({ outcome }) => outcome !== "finished")) return false;
  const [first, ...more] = losses;
  if (first !== undefined) throw lossError([first, ...more]);
  return true;
}

interface StepOf {
  readonly readings: readonly Reading[];
  readonly read: Step;
}

function stepsOf(all: readonly Reading[], newestOnly: boolean): readonly StepOf[] {
  const changing = all.filter(({ hasChanges }) => hasChanges);
  const whole = { readings: all.filter(({ hasChanges }) => !hasChanges), read: readWhole };
  if (!newestOnly) {
    return [
      { readings: changing.filter(hasPosition), read: readChanges },
      // By a stream of their own, which begins now: what has changed before is in the copy.
      { readings: changing.filter((reading) => !hasPosition(reading)), read: readChanges },
      whole,
    ];
  }
  return [
    { readings: changing.filter(isCopied), read: readNewest },
    { readings: changing.filter((reading) => !isCopied(reading)), read: readPinned },
    whole,
  ];
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
    warnOfCopies(stream, configured.invocation.log);
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
