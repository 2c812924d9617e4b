/** Runs a program from its start to its end, as a user would, and says what it took. Linux only: it reads /proc. */

import { readFileSync } from "node:fs";
import type { MemoryPoint } from "./results.ts";

export interface ProcessOptions {
  readonly command: readonly string[];
  /** A descriptor for standard output; default: it is kept and returned. */
  readonly stdout?: number;
  /** How often memory is looked at; default 20 ms. */
  readonly sampleMs?: number;
  /** Called with each look at the memory. */
  readonly onSample?: (point: MemoryPoint) => void;
}

export interface Finished {
  readonly seconds: number;
  /** User and system time of all its threads. */
  readonly cpuSeconds: number;
  /** The high-water mark of its resident memory, in 10^6 bytes. */
  readonly peakMB: number;
  readonly stdout: string;
}

/** A program that has ended, and how many bytes it wrote; 0 where it writes nothing. */
export interface Outcome {
  readonly finished: Finished;
  readonly bytes: number;
}

/** Resolves when the program has ended with 0; rejects with what it said on standard error otherwise. */
export async function runProcess({ command, stdout, sampleMs = 20, onSample }: ProcessOptions): Promise<Finished> {
  const began = performance.now();
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: stdout ?? "pipe", stderr: "pipe" });
  let peakMB = 0;
  const look = (): void => {
    const memory = memoryOf(child.pid);
    if (memory === undefined) return;
    peakMB = Math.max(peakMB, memory.peakMB);
    onSample?.({ seconds: (performance.now() - began) / 1000, megabytes: memory.residentMB });
  };
  const timer = setInterval(look, sampleMs);
  const said = typeof child.stdout === "number" || child.stdout === undefined ? "" : new Response(child.stdout).text();
  const complaint = new Response(child.stderr).text();
  const exitCode = await child.exited;
  const seconds = (performance.now() - began) / 1000;
  clearInterval(timer);
  if (exitCode !== 0) throw new Error(`${shown(command)} ended with ${exitCode}: ${(await complaint).trim()}`);
  const microseconds = child.resourceUsage()?.cpuTime.total ?? 0n;
  return { seconds, cpuSeconds: Number(microseconds) / 1e6, peakMB, stdout: await said };
}

/** Resident memory of a process now and at most, in 10^6 bytes; undefined when it has ended. */
export function memoryOf(pid: number): { readonly residentMB: number; readonly peakMB: number } | undefined {
  const status = statusOf(pid);
  const resident = /^VmRSS:\s*(\d+) kB/m.exec(status)?.[1];
  const peak = /^VmHWM:\s*(\d+) kB/m.exec(status)?.[1];
  if (resident === undefined || peak === undefined) return undefined;
  return { residentMB: Number(resident) * 1.024e-3, peakMB: Number(peak) * 1.024e-3 };
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return ""; // it has ended and has been collected
  }
}

function shown(command: readonly string[]): string {
  return command.join(" ").replaceAll(/mongodb:\/\/\S+/g, "URI");
}
