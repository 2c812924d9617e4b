/** A project of a user in a temporary folder, with the npm packages of dist/npm installed from their archives. */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type TempDir, tempDir } from "../support/temp.ts";
import { PACKAGE } from "./installation.ts";

export const ROOT = join(import.meta.dirname, "../..");

/**
 * Installs both packages without the network; the packages of other platforms, which are optional, are not to be had. The
 * driver is the one of this repository.
 */
export async function installFromArchives(): Promise<TempDir> {
  const dir = await tempDir();
  mkdirSync(dir.join("archives"));
  npm(dir, "pack", "--silent", "--pack-destination", dir.join("archives"), join(ROOT, "dist/npm/mongotap"));
  // Without compression, which takes ten seconds. scripts/npm-check.ts installs what npm itself has packed.
  const platform = join(ROOT, "dist/npm", PACKAGE);
  execFileSync("tar", ["-cf", dir.join("archives/platform.tar"), "-C", dirname(platform), basename(platform)]);
  npm(dir, "init", "-y");
  const archives = readdirSync(dir.join("archives")).map((name) => dir.join("archives", name));
  npm(dir, "install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", ...archives);
  symlinkSync(join(ROOT, "node_modules/mongodb"), dir.join("node_modules/mongodb"));
  copyFileSync(join(import.meta.dirname, "shop.mjs"), dir.join("shop.mjs"));
  return dir;
}

function npm(dir: TempDir, ...args: string[]): void {
  // With a cache of its own: what earlier runs have fetched must not decide.
  const env = { ...process.env, npm_config_cache: dir.join("npm-cache") };
  execFileSync("npm", args, { cwd: dir.path, env, stdio: ["ignore", "ignore", "pipe"] });
}
