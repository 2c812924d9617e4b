/** A session of an open capture: documents, each checkpoint behind those that it covers, until Flow or a signal stops it. */

import { MongotapError } from "../../errors.ts";
import { settledWithin } from "../../lib/async.ts";
import type { Logger } from "../../observe/log.ts";
import { countOf } from "../../observe/stats.ts";
import type { PumpResult } from "../../pipeline/pump.ts";
import { openConnection } from "../../run/connection.ts";
import { checkIdentity, identityOf } from "../../run/source-identity.ts";
import { nameOf, type Position } from "../../source/record.ts";
import { copyChanges, logCopies, platformRun } from "../copy.ts";
import type { Configured } from "../connector-config.ts";
import type { MessageOutput } from "../message-output.ts";
import { findWanted } from "../wanted-streams.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { FlowBinding } from "./requests.ts";
import { mergePatch, parseFlowState, StateMaker } from "./state.ts";

export interface SessionOrder {
  readonly configured: Configured;
  readonly bindings: readonly FlowBinding[];
  /** As the runtime has it. */
  readonly state: Readonly<Record<string, unknown>>;
  readonly output: MessageOutput;
  readonly checkpoints: Checkpoints;
}

/** How long (ms) a reader that has stopped reading may delay the end of a session. */
const DRAIN_MS = 500;

/**
 * Resolves when the signal of the context has stopped the session: `cut` where the reader took no more.
 * @throws the reason of the signal where the session has not begun
 */
export async function capture(order: SessionOrder): Promise<PumpResult["outcome"]> {
  const { configured, bindings, output, checkpoints } = order;
  const { invocation, target } = configured;
  const { log, context } = invocation;
  const { signal } = context;
  const { from, source: saved, known } = parseFlowState(order.state, bindings);
  await using connection = await openConnection(invocation, target);
  const source = identityOf(connection.server);
  if (saved !== undefined)
    checkIdentity("the state of the capture", saved, source, "or raise the backfill counters of all bindings");
  await findWanted(
    connection,
    bindings.map(({ namespace }) => ({ namespace, wantsChanges: true })),
    log,
  );
  let state = order.state;
  const states = new StateMaker(bindings, source);
  const progress = new ProgressLog(bindings.length, log);
  const save = async (position: Position): Promise<void> => {
    const next = states.at(position);
    const updated = mergePatch(state, next) ?? {};
    state = next;
    checkpoints.onSent();
    await settledWithin(output.say({ checkpoint: { state: { updated, mergePatch: true } } }), signal, DRAIN_MS);
    progress.onSaved(position);
  };
  const run = platformRun(configured, connection, output);
  try {
    const result = await copyChanges(run, {
      namespaces: bindings.map(({ namespace }) => namespace),
      messages: { kind: "flow", bindings: new Map(bindings.map(({ namespace }, i) => [nameOf(namespace), i])) },
      from,
      before: known.map(({ namespace }) => namespace),
      untilCaughtUp: false,
      commitMs: 0,
      save,
    });
    return result.outcome;
  } catch (error) {
    // Flow drops what it has not committed when a session fails: the next one would fail for the same reason.
    if (error instanceof MongotapError && error.kind === "history-lost") await checkpoints.areCommitted(signal);
    throw error;
  } finally {
    logCopies(run, "Flow", false);
    if (checkpoints.text !== undefined) log.info(checkpoints.text);
  }
}

/** Logs how many bindings are being copied, in the form that Flow shows as the status of the capture. */
class ProgressLog {
  readonly #bindings: number;
  readonly #log: Logger;
  #collections: Position["collections"] | undefined;
  #left: number | undefined;

  constructor(bindings: number, log: Logger) {
    this.#bindings = bindings;
    this.#log = log;
  }

  onSaved({ collections }: Position): void {
    if (collections === this.#collections) return;
    this.#collections = collections;
    const left = Object.values(collections).filter(({ phase }) => phase === "pinned" || phase === "copying").length;
    if (left === this.#left) return;
    this.#left = left;
    const text =
      left === 0
        ? "streaming changes"
        : `backfilling ${left} of ${countOf(this.#bindings, "binding")}, and streaming changes`;
    this.#log.info(text, { eventType: "connectorStatus" });
  }
}
