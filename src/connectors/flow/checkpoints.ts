/** The checkpoints of a session: how many Flow has committed. */

import { MongotapError } from "../../errors.ts";
import { isSettledWithin, settledWithin } from "../../lib/async.ts";

/** How long (ms) the last checkpoints of a session that fails may take to be committed. */
const COMMITTED_WITHIN_MS = 30_000;

export class Checkpoints {
  #sent = 0;
  #acknowledged = 0;
  #all: PromiseWithResolvers<void> | undefined;

  onSent(): void {
    this.#sent += 1;
  }

  /** @throws MongotapError `config` for more than have been sent */
  onAcknowledged(count: number): void {
    this.#acknowledged += count;
    if (this.#acknowledged > this.#sent) {
      throw new MongotapError(
        "config",
        `${this.#acknowledged} checkpoints are acknowledged, of ${this.#sent} that were sent`,
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

  get text(): string {
    return `${this.#acknowledged} of ${this.#sent} checkpoints acknowledged`;
  }
}
