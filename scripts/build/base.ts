/**
 * Fetches Bun for another platform, as the base of a binary. Bun would download it from a host that few build machines
 * can reach; the same files are npm packages, with their digests in package-lock.json.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity?: string }>>;
}

/** The path of Bun's executable from the npm package `name`, fetched into `root`/.cache unless it is there already. */
export function baseBinary(root: string, name: string): string {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock;
  const locked = lock.packages[`node_modules/${name}`];
  if (locked?.integrity === undefined) throw new Error(`package-lock.json has no ${name}`);
  const cache = join(root, ".cache/bun");
  const place = join(cache, `${name.slice(name.indexOf("/") + 1)}-${locked.version}`);
  const executable = join(place, "bin", name.includes("windows") ? "bun.exe" : "bun");
  if (existsSync(executable)) return executable;

  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, "fetch-"));
  try {
    const wanted = `${name}@${locked.version}`;
    execFileSync("npm", ["pack", "--silent", "--pack-destination", scratch, wanted], {
      stdio: ["ignore", "ignore", "inherit"],
      shell: process.platform === "win32",
    });
    const archive = join(scratch, `${name.slice(1).replace("/", "-")}-${locked.version}.tgz`);
    const digest = `sha512-${createHash("sha512").update(readFileSync(archive)).digest("base64")}`;
    if (digest !== locked.integrity) throw new Error(`${wanted} has another digest than in package-lock.json`);
    execFileSync("tar", ["-xzf", archive, "-C", scratch]);
    rmSync(place, { recursive: true, force: true });
    renameSync(join(scratch, "package"), place);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return executable;
}
