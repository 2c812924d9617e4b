/** A session of an open capture: documents, each checkpoint behind those that it covers, until Flow or a signal stops it. */

import { MongotapError } from "../../errors.ts";
import { newStats } from "../../observe/stats.ts";
import { openConnection } from "../../run/connection.ts";
import { checkIdentity, identityOf } from "../../run/source-identity.ts";
import { nameOf, type Position } from "../../source/record.ts";
import { copyChanges, logCopies, type PlatformRun } from "../copy.ts";
import type { Configured } from "../connector-config.ts";
import type { MessageOutput } from "../message-output.ts";
import { findWanted } from "../wanted-streams.ts";
import type { FlowBinding } from "./requests.ts";
import { flowStateAt, mergePatch, parseFlowState } from "./state.ts";

export interface SessionOrder {
  readonly configured: Configured;
  readonly bindings: readonly FlowBinding[];
  /** As the runtime has it. */
  readonly state: Readonly<Record<string, unknown>>;
  readonly output: MessageOutput;
  readonly checkpoints: Checkpoints;
  /** Aborts with a Stop when the session must end. */
  readonly signal: AbortSignal;
}

/** Counts the checkpoints that Flow has committed. */
export class Checkpoints {
  #sent = 0;
  #acknowledged = 0;

  onSent(): void {
    this.#sent += 1;
  }

  /** @throws MongotapError `config` for more than have been sent */
  onAcknowledged(count: number): void {
    this.#acknowledged += count;
    if (this.#acknowledged <= this.#sent) return;
    throw new MongotapError(
      "config",
      `${this.#acknowledged} checkpoints are acknowledged, of ${this.#sent} that were sent`,
    );
  }

  get text(): string {
    return `${this.#acknowledged} of ${this.#sent} checkpoints acknowledged`;
  }
}

/** Resolves when the session has been stopped. */
export async function capture(order: SessionOrder): Promise<void> {
  const { configured, bindings, output, checkpoints, signal } = order;
  const { invocation, target } = configured;
  const { from, source: saved, known } = parseFlowState(order.state, bindings);
  await using connection = await openConnection(invocation, target);
  const source = identityOf(connection.server);
  if (saved !== undefined)
    checkIdentity("the state of the capture", saved, source, "or raise the backfill counters of all bindings");
  await findWanted(
    connection,
    bindings.map(({ namespace }) => ({ namespace, wantsChanges: true })),
    invocation.log,
  );
  let state = order.state;
  const save = async (position: Position): Promise<void> => {
    const next = flowStateAt(position, bindings, source);
    const updated = mergePatch(state, next) ?? {};
    state = next;
    checkpoints.onSent();
    await output.say({ checkpoint: { state: { updated, mergePatch: true } } });
  };
  const stats = newStats(performance.now());
  const run: PlatformRun = { invocation, connection, target, sink: output, signal, stats };
  const result = await copyChanges(run, {
    namespaces: bindings.map(({ namespace }) => namespace),
    messages: { kind: "flow", bindings: new Map(bindings.map(({ namespace }, i) => [nameOf(namespace), i])) },
    from,
    before: known.map(({ namespace }) => namespace),
    untilCaughtUp: false,
    commitMs: 0,
    save,
  });
  logCopies(run, [result], "Flow", false);
  invocation.log.info(checkpoints.text);
}
