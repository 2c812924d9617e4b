/** One run of the program after the other, on the same output and state; and what the state says when one was killed. */

import { type ChildProcess, spawn } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { documentsCopied } from "../../src/pipeline/progress.ts";
import type { CollectionState } from "../../src/source/record.ts";
import type { Checkpoint } from "../../src/state/checkpoint.ts";
import { guardProcess } from "../mongod/watchdog.ts";

/** Longer than anything here takes. */
const PATIENCE_MS = 180_000;
const MAIN = join(import.meta.dirname, "../../src/main.ts");

/** Where a file and a state are, or were when a run was killed. */
export interface Standing {
  /** Grows with each save. */
  readonly seq: number;
  readonly phase: string;
  /** Documents that the state knows as copied. */
  readonly rows: number;
  /** How far the state vouches for the file. */
  readonly committedBytes: number;
  readonly committedLines: number;
  /** How long the file is. */
  readonly fileBytes: number;
}

export class Capture {
  readonly #uri: string;
  readonly #namespace: string;
  readonly out: string;
  readonly state: string;
  #child: ChildProcess | undefined;
  #exit: Promise<number | string> = Promise.resolve(0);
  /** What the program said in its last run. */
  said = "";

  constructor(uri: string, namespace: string, folder: string) {
    this.#uri = uri;
    this.#namespace = namespace;
    this.out = join(folder, "orders.ndjson");
    this.state = join(folder, "orders.state");
  }

  get arguments(): string[] {
    // Slowly, so that it is killed in the middle of the copy, with documents committed.
    const throttle = ["--rate-limit", "10MB"];
    return ["capture", this.#namespace, "--format", "canonical", ...throttle, "--out", this.out, "--state", this.state];
  }

  start(more: readonly string[] = []): void {
    const child = spawn(process.execPath, [MAIN, ...this.arguments, ...more], {
      env: { ...process.env, MONGOTAP_URI: this.#uri },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const release = child.pid === undefined ? () => undefined : guardProcess(child.pid);
    this.said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.said += text));
    this.#child = child;
    this.#exit = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        release();
        this.#child = undefined;
        resolve(code ?? signal ?? "");
      });
    });
    this.#exit.catch(() => undefined); // told by whoever waits for it
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

  /** Resolves as soon as `isSo`; rejects when the program ends before that, or when it takes minutes. */
  async until(isSo: (standing: Standing) => boolean): Promise<Standing> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const standing = await this.standing();
      if (standing && isSo(standing)) return standing;
      if (!this.#child) throw new Error(`the capture ended by itself (${await this.#exit}): ${this.said.trim()}`);
      if (performance.now() > deadline) throw new Error(`the capture makes no progress: ${this.said.trim()}`);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }

  /** Undefined while there is no state yet. */
  async standing(): Promise<Standing | undefined> {
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

  /** Until a state knows the file it is called `.partial`. */
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
