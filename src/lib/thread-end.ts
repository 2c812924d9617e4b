/** The end of a thread that was not asked to end. */

import type { Worker } from "node:worker_threads";

import { messageOf } from "../errors.ts";

/** Calls `gone` with the reason when the thread fails or ends, perhaps twice. */
export function whenGone(worker: Worker, gone: (reason: string) => void): void {
  worker.on("error", (error: unknown) => gone(messageOf(error)));
  worker.on("exit", (code) => gone(`it ended with ${code}`));
}
