/** A mongotap capture that is restarted whenever it ends, and is killed, stopped or suspended at random. */

import { type ChildProcess, spawn } from "node:child_process";

import type { Random } from "../lib/random.ts";

export interface TapOptions {
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

/** Signals and exit codes that a fault may cause: killed, stopped by SIGTERM, no server. Any other one is a failure. */
const EXPECTED = new Set(["SIGKILL", "SIGTERM", "0", "4", "143"]);

export class Tap {
  readonly counts: TapCounts = { starts: 0, kills: 0, terms: 0, pauses: 0, ends: new Map() };
  readonly unexpected: string[] = [];
  readonly #options: TapOptions;
  /** Chooses the faults of the program and the pauses between them. */
  readonly random: Random;
  #child: ChildProcess | undefined;
  #running = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: TapOptions) {
    this.#options = options;
    this.random = options.random;
  }

  start(): void {
    this.#running = true;
    this.#loop = this.#keepAlive();
  }

  async #keepAlive(): Promise<void> {
    while (this.#running) {
      const { end, stderr } = await this.run([]);
      if (!EXPECTED.has(end)) this.unexpected.push(`ended with ${end}: ${stderr.trim().split("\n").at(-1) ?? ""}`);
      await pause(200);
    }
  }

  /** Runs the program once to its end, with `more` arguments. */
  async run(more: readonly string[]): Promise<{ end: string; stderr: string }> {
    const [program = "", ...leading] = this.#options.command;
    const child = spawn(program, [...leading, ...this.#options.args, ...more], { stdio: ["ignore", "ignore", "pipe"] });
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
    return { end, stderr };
  }

  /** Injects one random fault. */
  async injectFault(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
