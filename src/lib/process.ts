/** The process as the layers below main.ts see it: its user, why it was asked to stop, the end of its threads. */

import type { Worker } from "node:worker_threads";
import { userInfo } from "node:os";
import { messageOf } from "../errors.ts";

/** The user id; undefined on Windows, and for a uid without a name, as in containers. */
export function ownUid(): number | undefined {
  try {
    const { uid } = userInfo();
    return uid < 0 ? undefined : uid;
  } catch {
    return undefined; // a uid without a name
  }
}

export type StopReason =
  | { readonly kind: "signal"; readonly name: string; readonly number: number }
  | { readonly kind: "deadline" };

export class Stop extends Error {
  override readonly name = "Stop";
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(reason.kind === "signal" ? `stopped by ${reason.name}` : "the time is over");
    this.reason = reason;
  }
}

/** Calls `gone` with the reason when the thread fails or ends, perhaps twice. */
export function whenGone(worker: Worker, gone: (reason: string) => void): void {
  worker.on("error", (error: unknown) => gone(messageOf(error)));
  worker.on("exit", (code) => gone(`it ended with ${code}`));
}
