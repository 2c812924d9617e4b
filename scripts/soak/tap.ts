/** A mongotap capture that is restarted whenever it ends, and is killed, stopped or suspended at random. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";

import type { Random } from "../lib/random.ts";

export interface TapOptions {
  readonly name: string;
  /** Where it writes. */
  readonly out: string;
  readonly state: string;
  /** Whether it reads this collection (`db.collection`). */
  readonly isBound: (name: string) => boolean;
  /** The exit codes that a fault may cause, beside being killed, stopped, and left without a server. */
  readonly expected: readonly string[];
  /** Program and leading arguments. */
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly random: Random;
  readonly log: (text: string) => void;
}

export interface TapCounts {
  starts: number;
  kills: number;
  terms: number;
  pauses: number;
  /** By exit code or signal: how often the program ended with it. */
  readonly ends: Map<string, number>;
}

/** Killed, stopped by SIGTERM, no server. */
const EXPECTED: readonly string[] = ["SIGKILL", "SIGTERM", "0", "4", "143"];
/** A collection that is bound by its name has ended: the next run goes on. */
const ENDED = "7";
const HISTORY_LOST = "6";
/** How many runs it may take to catch up behind collections that have ended. */
const MOST_RUNS = 30;

export class Tap {
  readonly counts: TapCounts = { starts: 0, kills: 0, terms: 0, pauses: 0, ends: new Map() };
  readonly unexpected: string[] = [];
  readonly options: TapOptions;
  /** When its history was taken away: the seconds of a cluster time. */
  readonly losses: string[] = [];
  /** The cluster time behind which its stream had begun for certain. */
  pinnedAt = "";
  /** Chooses the faults of the program and the pauses between them. */
  readonly random: Random;
  #child: ChildProcess | undefined;
  #running = false;
  #isHeld = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: TapOptions) {
    this.options = options;
    this.random = options.random;
  }

  start(): void {
    this.#running = true;
    this.#loop = this.#keepAlive();
  }

  async #keepAlive(): Promise<void> {
    while (this.#running) {
      while (this.#isHeld && this.#running) await pause(20);
      if (!this.#running) return;
      const { end, stderr } = await this.run([]);
      if (!this.#isExpected(end)) this.unexpected.push(`${this.options.name} ended with ${end}: ${lastLines(stderr)}`);
      await pause(200);
    }
  }

  #isExpected(end: string): boolean {
    if (end === HISTORY_LOST) return this.losses.length > 0;
    return EXPECTED.includes(end) || this.options.expected.includes(end);
  }

  /** Resolves when it has a state. */
  async pinned(): Promise<void> {
    while (!existsSync(this.options.state)) await pause(20);
    const state = JSON.parse(await readFile(this.options.state, "utf8")) as {
      readonly position: { readonly stream: { readonly time: string } };
    };
    this.pinnedAt = state.position.stream.time;
  }

  /** Runs until it has caught up; resolves to what went wrong. */
  async catchUp(): Promise<string | undefined> {
    for (let run = 0; run < MOST_RUNS; run += 1) {
      const { end, stderr } = await this.run(["--until", "caught-up"]);
      if (end === "0") return undefined;
      if (end !== ENDED && end !== HISTORY_LOST) return `catching up ended with ${end}: ${lastLines(stderr)}`;
      if (!this.#isExpected(end)) return `catching up ended with ${end}: ${lastLines(stderr)}`;
    }
    return `not caught up after ${MOST_RUNS} runs`;
  }

  /** Keeps it from going on until it is released: suspended, or killed. */
  hold(how: "suspended" | "killed"): () => void {
    this.#isHeld = true;
    const child = this.#child;
    child?.kill(how === "suspended" ? "SIGSTOP" : "SIGKILL");
    return () => {
      this.#isHeld = false;
      child?.kill("SIGCONT");
    };
  }

  /** Runs the program once to its end, with `more` arguments. */
  async run(more: readonly string[]): Promise<{ end: string; stderr: string }> {
    const [program = "", ...leading] = this.options.command;
    const child = spawn(program, [...leading, ...this.options.args, ...more], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    this.counts.starts += 1;
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr = `${stderr}${chunk.toString()}`.slice(-4000);
    });
    const end = await new Promise<string>((resolve) => {
      child.once("close", (code, signal) => resolve(signal ?? String(code)));
    });
    this.counts.ends.set(end, (this.counts.ends.get(end) ?? 0) + 1);
    // A warning of the runtime, such as of a leak.
    const warning = stderr.split("\n").find((line) => /\bWarning: /.test(line));
    if (warning !== undefined) this.unexpected.push(`${this.options.name} said: ${warning}`);
    return { end, stderr };
  }

  /** Injects one random fault. */
  async injectFault(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || this.#isHeld) return;
    const chance = this.random.next();
    if (chance < 0.6) {
      this.counts.kills += 1;
      child.kill("SIGKILL");
    } else if (chance < 0.8) {
      this.counts.terms += 1;
      child.kill("SIGTERM");
    } else {
      this.counts.pauses += 1;
      child.kill("SIGSTOP");
      await pause(this.random.between(200, 4000));
      child.kill("SIGCONT");
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#child?.kill("SIGTERM");
    await this.#loop;
  }
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-3).join(" | ");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
