/** Streams whose history is lost, in words for the user. */

import { MongotapError } from "../../errors.ts";
import type { StreamDescriptor } from "../../protocol/airbyte.ts";
import { listOf } from "../../run/outcome.ts";

/** Streams that cannot be read, because the server no longer holds their changes. */
export interface Loss<S extends { readonly descriptor: StreamDescriptor }> {
  readonly streams: readonly S[];
  /** As the change stream reported it, or what has been done about it. */
  readonly error: MongotapError;
}

/** More names make a message that platforms cut. */
const MOST_NAMES = 20;

/** Returns one error for all losses, which names the streams. There is at least one loss. */
export function lossError<S extends { readonly descriptor: StreamDescriptor }>(
  losses: readonly [Loss<S>, ...(readonly Loss<S>[])],
): MongotapError {
  const [{ error }] = losses;
  const names = losses.flatMap(({ streams }) => streams.map(({ descriptor }) => descriptor.name));
  return new MongotapError("history-lost", `the history of ${listOf(names, MOST_NAMES)} is lost: ${error.message}`, {
    hint: error.hint,
    cause: error,
  });
}
