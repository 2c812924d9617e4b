/** Whether a saved position can be one of this server at all. */

import { MongotapError } from "../errors.ts";
import { isoOf, tickAfter } from "./cluster-time.ts";
import type { ClusterTime, StreamPosition } from "./record.ts";
import { tokenData, tokenTime } from "./resume-token.ts";

/** The time is what is compared with the server's, so it has to be that of the token which the server is sent. */
export function checkTimeOfToken({ token, time }: StreamPosition): void {
  const own = tokenTime(tokenData(Buffer.from(token, "base64")));
  if (own === undefined || own === time) return;
  throw new MongotapError(
    "state",
    `the saved position is damaged: its token is of ${isoOf(own)}, not of ${isoOf(time)}`,
  );
}

/**
 * A token ahead of the server's clock is accepted and then waits for ever: another cluster, or one set back in time.
 * `newest` is the server's own last operation: what the majority has may fall behind the token in an election.
 */
export function checkNotFromTheFuture(from: StreamPosition, newest: ClusterTime | undefined): void {
  if (newest === undefined || from.time <= tickAfter(newest)) return;
  throw new MongotapError(
    "state",
    "the saved position is ahead of the server's own time: it is of another cluster, or this one was set back",
    {
      hint: "Connect to the cluster that the state was made with, or start over with --fresh.",
    },
  );
}
