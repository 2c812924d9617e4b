/** The process, for the layers below main.ts: its user, the reason to stop, the end of its threads. */

import type { Worker } from "node:worker_threads";
import { userInfo } from "node:os";
import { messageOf } from "../errors.ts";

/** The user id; undefined on Windows, and for a uid without a user name, as in containers. */
export function ownUid(): number | undefined {
  try {
    const { uid } = userInfo();
    return uid < 0 ? undefined : uid;
  } catch {
    return undefined; // no user name
  }
}

export type StopReason =
  | { readonly kind: "signal"; readonly name: string; readonly number: number }
  | { readonly kind: "deadline" }
  /** Who runs the process wants no more of it: standard input has ended. */
  | { readonly kind: "input" };

function textOf(reason: StopReason): string {
  switch (reason.kind) {
    case "signal":
      return `stopped by ${reason.name}`;
    case "deadline":
      return "the time is over";
    case "input":
      return "standard input has ended";
  }
}

/** The reason of an abort signal that ends the run in good order. */
export class Stop extends Error {
  override readonly name = "Stop";
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(textOf(reason));
    this.reason = reason;
  }
}

export interface ReceivedSignal {
  readonly name: string;
  /** When it came, in ms. */
  readonly at: number;
}

/** One request may arrive as several signals within this time (ms). */
const ONE_REQUEST_MS = 300;

/**
 * Whether `next` belongs to the request of `first`: Ctrl-C reaches every process of the terminal, systemd signals every
 * process of a unit, and parents such as npx forward the signal as well.
 */
export function isSameRequest(first: ReceivedSignal, next: ReceivedSignal): boolean {
  return next.name === first.name && next.at - first.at < ONE_REQUEST_MS;
}

/** Calls `onEnd` with the reason when the thread fails or ends; possibly twice. */
export function whenGone(worker: Worker, onEnd: (reason: string) => void): void {
  worker.on("error", (error: unknown) => onEnd(messageOf(error)));
  worker.on("exit", (code) => onEnd(`it ended with ${code}`));
}
