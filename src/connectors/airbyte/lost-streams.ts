/** Streams whose history is lost, in words for the user. */

import { MongotapError } from "../../errors.ts";
import type { StreamDescriptor } from "../../protocol/airbyte.ts";

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
  const named = names.slice(0, MOST_NAMES).join(", ");
  const others = names.length - MOST_NAMES;
  const all = others > 0 ? `${named} and ${others} more` : named;
  return new MongotapError("history-lost", `the history of ${all} is lost: ${error.message}`, {
    hint: error.hint,
    cause: error,
  });
}
