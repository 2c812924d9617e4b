/** Waiting for an effect instead of sleeping. */
import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  /** For the error message: `the file to appear`. */
  readonly what: string;
  /** Default: 15 s. */
  readonly timeoutMs?: number;
  /** Pause between two calls; default 20 ms. */
  readonly everyMs?: number;
}

/** Calls `predicate` repeatedly. Resolves with its first truthy result, rejects after `timeoutMs`. */
export async function waitFor<Answer>(
  predicate: () => Answer | Promise<Answer>,
  { what, timeoutMs = 15_000, everyMs = 20 }: WaitOptions,
): Promise<Exclude<Answer, false | undefined | null | 0 | "">> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await predicate();
    if (answer) return answer as Exclude<Answer, false | undefined | null | 0 | "">;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(everyMs);
  }
}
