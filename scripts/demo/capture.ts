/** Runs of the program, one after another, with the same output and state; and what state and file hold in between. */

import { type ChildProcess, spawn } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { documentsCopied } from "../../src/pipeline/position.ts";
import type { CollectionState } from "../../src/source/record.ts";
import type { Checkpoint } from "../../src/state/checkpoint.ts";
import { guardProcess } from "../../npm/mongod/watchdog.ts";

/** Longer than any step takes. */
const TIMEOUT_MS = 180_000;
const MAIN = join(import.meta.dirname, "../../src/main.ts");

/** What the state covers, and how long the file is. */
export interface CaptureStatus {
  /** The number of the save. */
  readonly seq: number;
  readonly phase: string;
  /** Documents that the state counts as copied. */
  readonly rows: number;
  /** How many bytes of the file the state covers. */
  readonly committedBytes: number;
  readonly committedLines: number;
  /** The size of the file. */
  readonly fileBytes: number;
}

export class Capture {
  readonly #uri: string;
  readonly #namespace: string;
  readonly out: string;
  readonly state: string;
  #child: ChildProcess | undefined;
  #exit: Promise<number | string> = Promise.resolve(0);
  /** The standard error of the last run. */
  stderr = "";

  constructor(uri: string, namespace: string, folder: string) {
    this.#uri = uri;
    this.#namespace = namespace;
    this.out = join(folder, "orders.ndjson");
    this.state = join(folder, "orders.state");
  }

  get arguments(): string[] {
    // Slow enough that a kill comes in the middle of the copy.
    const throttle = ["--rate-limit", "10MB"];
    return ["capture", this.#namespace, "--format", "canonical", ...throttle, "--out", this.out, "--state", this.state];
  }

  start(more: readonly string[] = []): void {
    const child = spawn(process.execPath, [MAIN, ...this.arguments, ...more], {
      env: { ...process.env, MONGOTAP_URI: this.#uri },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const release = child.pid === undefined ? () => undefined : guardProcess(child.pid);
    this.stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    this.#child = child;
    this.#exit = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        release();
        this.#child = undefined;
        resolve(code ?? signal ?? "");
      });
    });
    this.#exit.catch(() => undefined); // ended() throws it
  }

  /** Resolves with the exit code, or with the name of the signal that ended the run. */
  async ended(): Promise<number | string> {
    return await this.#exit;
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#exit;
  }

  /** Resolves as soon as `isSo` holds; rejects when the program ends before, or after TIMEOUT_MS. */
  async until(isSo: (status: CaptureStatus) => boolean): Promise<CaptureStatus> {
    const deadline = performance.now() + TIMEOUT_MS;
    for (;;) {
      const status = await this.status();
      if (status && isSo(status)) return status;
      if (!this.#child) throw new Error(`the capture ended by itself (${await this.#exit}): ${this.stderr.trim()}`);
      if (performance.now() > deadline) throw new Error(`the capture makes no progress: ${this.stderr.trim()}`);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }

  /** Resolves to undefined while there is no state file. */
  async status(): Promise<CaptureStatus | undefined> {
    const text = await readFile(this.state, "utf8").catch(() => undefined);
    if (text === undefined) return undefined;
    const { seq, position, outputs } = JSON.parse(text) as Checkpoint;
    const collection = position.collections[this.#namespace];
    const { bytes: committedBytes = 0, lines: committedLines = 0 } = outputs[0] ?? {};
    return {
      seq,
      phase: collection?.phase ?? "unknown",
      rows: copiedDocuments(collection),
      committedBytes,
      committedLines,
      fileBytes: await this.#fileBytes(),
    };
  }

  /** Until the first commit the file has the suffix `.partial`. */
  async #fileBytes(): Promise<number> {
    for (const path of [this.out, `${this.out}.partial`]) {
      const found = await stat(path).catch(() => undefined);
      if (found) return found.size;
    }
    return 0;
  }
}

function copiedDocuments(state: CollectionState | undefined): number {
  if (state?.phase === "live") return state.copied.documents;
  return state?.phase === "copying" ? documentsCopied(state.ranges) : 0;
}
