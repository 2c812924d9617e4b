/** Finds the binary of this platform, which is in an npm package of its own: `@mongotap/linux-x64`, `@mongotap/darwin-arm64`. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";

export interface Machine {
  /** As `process.platform` and `process.arch`. */
  readonly platform: string;
  readonly arch: string;
  /** Whether a file exists. */
  readonly hasFile: (path: string) => boolean;
}

/** Where an installation is looked at: in the package `mongotap`. */
export interface Installation {
  /** Resolves the path of a file in a package as `require.resolve` does; throws if it is not installed. */
  readonly resolve: (path: string) => string;
  /** The names of all platform packages. */
  readonly packages: readonly string[];
}

const MACHINE: Machine = { platform: process.platform, arch: process.arch, hasFile: existsSync };

/**
 * The packages that may hold the binary, the preferred one first. Some package managers install the packages of both C
 * libraries: a program runs where its loader is.
 */
export function packagesFor({ platform, arch, hasFile }: Machine): string[] {
  const name = `@mongotap/${platform}-${arch}`;
  if (platform !== "linux") return [name];
  const [musl, glibc] =
    arch === "arm64"
      ? ["/lib/ld-musl-aarch64.so.1", "/lib/ld-linux-aarch64.so.1"]
      : ["/lib/ld-musl-x86_64.so.1", "/lib64/ld-linux-x86-64.so.2"];
  return hasFile(musl) && !hasFile(glibc) ? [`${name}-musl`, name] : [name, `${name}-musl`];
}

/** The path of the binary. @throws Error with one line that says what to do */
export function binaryPath(machine = MACHINE, installation = thisInstallation()): string {
  const candidates = packagesFor(machine);
  const file = machine.platform === "win32" ? "mongotap.exe" : "mongotap";
  for (const name of candidates) {
    try {
      return installation.resolve(`${name}/${file}`);
    } catch {
      // Not installed: the next one, or the message below.
    }
  }
  const [preferred = ""] = candidates;
  if (installation.packages.includes(preferred)) {
    throw new Error(
      `the package ${preferred} is not installed: install mongotap again on this machine, without --omit=optional (or --no-optional)`,
    );
  }
  const names = installation.packages.map((name) => name.slice(name.indexOf("/") + 1)).toSorted();
  throw new Error(`there is no binary for ${machine.platform}-${machine.arch}, only for ${names.join(", ")}`);
}

function thisInstallation(): Installation {
  const require = createRequire(import.meta.url);
  const { optionalDependencies = {} } = require("../package.json") as { optionalDependencies?: Record<string, string> };
  return { resolve: (path) => require.resolve(path), packages: Object.keys(optionalDependencies) };
}
