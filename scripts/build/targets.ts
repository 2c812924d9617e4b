/** The platforms that a binary is built for. */

import { readFileSync } from "node:fs";

/** What the header of a binary contains. */
export interface Format {
  readonly container: "ELF" | "Mach-O" | "PE";
  readonly cpu: "x64" | "arm64";
  /** ELF only: the C library that its loader belongs to. */
  readonly libc?: "glibc" | "musl";
}

export interface Target {
  /** As in the name of the file: `mongotap-linux-x64`. */
  readonly name: string;
  /** Bun's name for it. */
  readonly bun: Bun.Build.CompileTarget;
  /** The npm package with Bun for this platform: the base of the binary. */
  readonly base: string;
  readonly format: Format;
}

export const TARGETS: readonly Target[] = [
  linux("x64", "glibc"),
  linux("arm64", "glibc"),
  linux("x64", "musl"),
  linux("arm64", "musl"),
  {
    name: "macos-x64",
    bun: "bun-darwin-x64",
    base: "@oven/bun-darwin-x64",
    format: { container: "Mach-O", cpu: "x64" },
  },
  {
    name: "macos-arm64",
    bun: "bun-darwin-arm64",
    base: "@oven/bun-darwin-aarch64",
    format: { container: "Mach-O", cpu: "arm64" },
  },
  {
    name: "windows-x64",
    bun: "bun-windows-x64",
    base: "@oven/bun-windows-x64",
    format: { container: "PE", cpu: "x64" },
  },
];

function linux(cpu: "x64" | "arm64", libc: "glibc" | "musl"): Target {
  const suffix = libc === "musl" ? "-musl" : "";
  return {
    name: `linux-${cpu}${suffix}`,
    bun: libc === "musl" ? `bun-linux-${cpu}-musl` : `bun-linux-${cpu}`,
    base: `@oven/bun-linux-${cpu === "arm64" ? "aarch64" : cpu}${suffix}`,
    format: { container: "ELF", cpu, libc },
  };
}

/** Reads the format of an executable from its header. Throws if it is none of the three containers. */
export function formatOf(path: string): Format {
  const bytes = readFileSync(path).subarray(0, 4096);
  if (bytes.toString("latin1", 0, 4) === "\x7fELF") {
    const loader = /ld-(musl|linux)/.exec(bytes.toString("latin1"))?.[1];
    return {
      container: "ELF",
      cpu: cpuOf(bytes.readUInt16LE(18), 0x3e, 0xb7),
      libc: loader === "musl" ? "musl" : "glibc",
    };
  }
  if (bytes.readUInt32LE(0) === 0xfeedfacf) {
    return { container: "Mach-O", cpu: cpuOf(bytes.readUInt32LE(4), 0x0100_0007, 0x0100_000c) };
  }
  if (bytes.toString("latin1", 0, 2) === "MZ") {
    const header = bytes.readUInt32LE(0x3c);
    if (bytes.toString("latin1", header, header + 4) === "PE\0\0") {
      return { container: "PE", cpu: cpuOf(bytes.readUInt16LE(header + 4), 0x8664, 0xaa64) };
    }
  }
  throw new Error(`${path} is not an executable`);
}

function cpuOf(code: number, x64: number, arm64: number): "x64" | "arm64" {
  if (code === x64) return "x64";
  if (code === arm64) return "arm64";
  throw new Error(`unknown processor 0x${code.toString(16)}`);
}
