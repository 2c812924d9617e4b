/** The checkpoints of a session: how many Flow has committed. */

import { MongotapError } from "../../errors.ts";
import { isSettledWithin, settledWithin } from "../../lib/async.ts";
import { countOf } from "../../observe/stats.ts";

/** How long (ms) the last checkpoints of a session that fails may take to be committed. */
const COMMITTED_WITHIN_MS = 30_000;

export class Checkpoints {
  #sent = 0;
  #acknowledged = 0;
  #isWrong = false;
  #all: PromiseWithResolvers<void> | undefined;

  onSent(): void {
    this.#sent += 1;
  }

  /** @throws MongotapError `config` for more than have been sent */
  onAcknowledged(count: number): void {
    this.#acknowledged += count;
    if (this.#acknowledged > this.#sent) {
      this.#isWrong = true;
      throw new MongotapError(
        "config",
        `Flow has acknowledged ${countOf(this.#acknowledged, "checkpoint")}, more than the ${this.#sent} that mongotap has sent`,
        { hint: "Start the capture again: it goes on from the last state that Flow has." },
      );
    }
    if (this.#acknowledged === this.#sent) this.#all?.resolve();
  }

  /** Resolves when Flow has committed all that were sent, when it takes too long, or when `signal` aborts. */
  async areCommitted(signal: AbortSignal): Promise<void> {
    if (this.#acknowledged === this.#sent) return;
    this.#all = Promise.withResolvers<void>();
    const waiting = isSettledWithin(this.#all.promise, COMMITTED_WITHIN_MS);
    await settledWithin(waiting, signal, 0).catch(() => undefined);
  }

  /** How the session went, for its log. Undefined where there is nothing to say, or an error says it. */
  get text(): string | undefined {
    if (this.#sent === 0 || this.#isWrong) return undefined;
    return `Flow has acknowledged ${this.#acknowledged} of ${countOf(this.#sent, "checkpoint")} so far`;
  }
}
