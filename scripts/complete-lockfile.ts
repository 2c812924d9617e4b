/**
 * Completes package-lock.json after `npm install`: npm leaves out the optional packages of other platforms that it
 * could not look up, and `npm ci` then refuses the lock as out of sync. The packages that depend on them name their exact
 * versions, and their names contain the platform, so no look-up is needed.
 * Run: bun scripts/complete-lockfile.ts
 */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

interface LockedPackage {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

const OS = ["darwin", "linux", "win32", "android", "freebsd", "openharmony"];
/** Longest first: `arm64` is not `arm`, and `riscv64` holds no other name. */
const CPU = ["arm64", "x64", "ia32", "ppc64", "riscv64", "s390x", "arm"];

/** What npm would have written for the package `name`, of which only the name and the version are known. */
export function lockedPlatformPackage(name: string, version: string, parent: LockedPackage): LockedPackage {
  const os = OS.find((word) => name.includes(word));
  const cpu = CPU.find((word) => name.includes(word));
  if (os === undefined || cpu === undefined) throw new Error(`the name of ${name} does not contain its platform`);
  const musl = /musl/.test(name);
  const glibc = /glibc|gnu/.test(name);
  return {
    version,
    cpu: [cpu],
    ...(parent.dev === true ? { dev: true } : {}),
    ...(musl ? { libc: ["musl"] } : glibc && os === "linux" ? { libc: ["glibc"] } : {}),
    optional: true,
    os: [os],
  };
}

function complete(packages: Record<string, LockedPackage>): string[] {
  const added: string[] = [];
  for (const parent of Object.values(packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      const key = `node_modules/${name}`;
      if (packages[key] !== undefined) continue;
      packages[key] = lockedPlatformPackage(name, version, parent);
      added.push(name);
    }
  }
  return added;
}

if (import.meta.main) {
  const path = fileURLToPath(new URL("../package-lock.json", import.meta.url));
  const lock = JSON.parse(readFileSync(path, "utf8")) as { packages: Record<string, LockedPackage> };
  const added = complete(lock.packages);
  const sorted = Object.keys(lock.packages).toSorted((left, right) => left.localeCompare(right, "en"));
  lock.packages = Object.fromEntries(sorted.map((key) => [key, lock.packages[key] as LockedPackage]));
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`${added.length} packages for other platforms added`);
}
