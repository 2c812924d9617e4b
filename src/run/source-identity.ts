/** Which cluster a state belongs to: a position of another one means nothing here. */

import type { ServerInfo } from "../connect/client.ts";
import { MongotapError } from "../errors.ts";
import type { SourceIdentity } from "../state/checkpoint.ts";

export function identityOf({ setName, setId, topology }: ServerInfo): SourceIdentity {
  return { setName: setName === "" ? topology : setName, ...(setId === undefined ? {} : { setId }) };
}

export function isSameCluster(saved: SourceIdentity, now: SourceIdentity): boolean {
  return (
    saved.setName === now.setName && (saved.setId === undefined || now.setId === undefined || saved.setId === now.setId)
  );
}

/**
 * `what` names the state in messages, `otherwise` is what to do if the cluster is the right one.
 * @throws MongotapError `state` when the state belongs to another cluster
 */
export function checkIdentity(what: string, saved: SourceIdentity, now: SourceIdentity, otherwise: string): void {
  if (isSameCluster(saved, now)) return;
  throw new MongotapError("state", `${what} belongs to another cluster: ${textOf(saved)}, not ${textOf(now)}`, {
    hint: `Connect to the cluster that the state was made with, ${otherwise}.`,
  });
}

function textOf({ setName, setId }: SourceIdentity): string {
  return setId === undefined ? setName : `${setName} (${setId})`;
}
