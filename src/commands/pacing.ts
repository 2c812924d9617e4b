/** How fast a copy may read: as its settings say, and as its server can bear. */

import type { Connection } from "../connect/client.ts";
import { createThrottle, type ReadThrottle } from "../pipeline/pace.ts";
import { majorityLagMs } from "../source/majority-lag.ts";
import type { Invocation } from "./command.ts";

/** One for a whole run: what is read at once shares it. */
export function throttleOf({ client, server }: Connection, { settings, log }: Pick<Invocation, "settings" | "log">): ReadThrottle {
  const { rateLimit, maxLag } = settings;
  const canLag = server.topology === "replicaSet" && maxLag > 0;
  const measure = (signal: AbortSignal): Promise<number | undefined> => majorityLagMs(client, signal);
  return createThrottle({
    bytesPerSecond: rateLimit,
    lag: canLag ? { measure, mostMs: maxLag, warn: (message) => log.warn(message) } : undefined,
  });
}
