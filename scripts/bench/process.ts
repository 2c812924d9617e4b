/** Runs a program to its end and measures time and memory. Linux only: it reads /proc. */

import { readFileSync } from "node:fs";
import type { MemoryPoint } from "./results.ts";

export interface ProcessOptions {
  readonly command: readonly string[];
  /** A descriptor for standard output; default: it is kept and returned. */
  readonly stdout?: number;
  /** Interval between two readings of memory; default 20 ms. */
  readonly sampleMs?: number;
  /** Called with each reading of memory. */
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

/** Resolves when the program has exited with 0. Otherwise rejects with its standard error. */
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
  const output =
    typeof child.stdout === "number" || child.stdout === undefined ? "" : new Response(child.stdout).text();
  const stderr = new Response(child.stderr).text();
  const exitCode = await child.exited;
  const seconds = (performance.now() - began) / 1000;
  clearInterval(timer);
  if (exitCode !== 0) throw new Error(`${shown(command)} ended with ${exitCode}: ${(await stderr).trim()}`);
  const microseconds = child.resourceUsage()?.cpuTime.total ?? 0n;
  return { seconds, cpuSeconds: Number(microseconds) / 1e6, peakMB, stdout: await output };
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
    return ""; // it has exited and was reaped
  }
}

function shown(command: readonly string[]): string {
  return command.join(" ").replaceAll(/mongodb:\/\/\S+/g, "URI");
}
