/** A registry for npm packages on loopback (Verdaccio), which passes requests for other packages on. */

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../npm/mongod/ports.ts";
import { guardProcess } from "../../npm/mongod/watchdog.ts";

/** Programs of npm that are installed for the check alone, because they would triple the time of `npm ci`. */
const TOOLS = {
  dependencies: { "@arethetypeswrong/cli": "0.18.5", pnpm: "10.34.8", publint: "0.3.25", verdaccio: "6.8.0" },
  // The range of verdaccio 6.8.0 asks for a version of node-fetch that does not exist.
  overrides: { "node-fetch": "2.7.0" },
};

/** Installs TOOLS into `folder` unless they are there. Returns the folder of their programs. */
export function installTools(folder: string): string {
  const manifest = JSON.stringify({ private: true, ...TOOLS });
  const stamp = join(folder, "installed.json");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== manifest) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), manifest);
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: folder, stdio: "inherit" });
    writeFileSync(stamp, manifest);
  }
  return join(folder, "node_modules/.bin");
}

export interface Registry extends AsyncDisposable {
  readonly url: string;
  /** The variables with which npm, pnpm and Bun use this registry, npm and pnpm also with caches of their own below `folder`. */
  readonly env: Readonly<Record<string, string>>;
}

/** Starts it with its files in `folder`. Resolves when it answers. */
export async function startRegistry(bin: string, folder: string): Promise<Registry> {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const upstream = execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim();
  mkdirSync(folder, { recursive: true });
  // JSON is YAML.
  writeFileSync(join(folder, "config.yaml"), JSON.stringify(configuration(folder, upstream)));
  // npm wants a token to publish; the registry lets everyone do so.
  writeFileSync(join(folder, "npmrc"), `registry=http://${host}/\n//${host}/:_authToken=none\n`);
  const child = spawn(join(bin, "verdaccio"), ["--config", join(folder, "config.yaml"), "--listen", host], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const release = child.pid === undefined ? undefined : guardProcess(child.pid);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()).once("error", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
    release?.();
  };
  try {
    await answers(`http://${host}/-/ping`);
  } catch (error) {
    await stop();
    throw error;
  }
  const env = {
    npm_config_userconfig: join(folder, "npmrc"),
    npm_config_cache: join(folder, "npm-cache"),
    npm_config_update_notifier: "false",
    BUN_CONFIG_REGISTRY: `http://${host}/`,
    XDG_DATA_HOME: join(folder, "pnpm-store"),
    XDG_CACHE_HOME: join(folder, "cache"),
  };
  return { url: `http://${host}/`, env, [Symbol.asyncDispose]: stop };
}

function configuration(folder: string, upstream: string): object {
  const ours = { access: "$all", publish: "$anonymous" };
  return {
    storage: join(folder, "storage"),
    auth: { htpasswd: { file: join(folder, "htpasswd") } },
    uplinks: { upstream: { url: upstream, timeout: "60s", maxage: "60m" } },
    packages: { "@mongotap/*": ours, mongotap: ours, "**": { access: "$all", proxy: "upstream" } },
    // A binary is 120 MB.
    max_body_size: "300mb",
    log: { type: "stdout", format: "json", level: "warn" },
  };
}

const START_MS = 60_000;

async function answers(url: string): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const isUp = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    if (Date.now() > deadline) throw new Error(`the registry did not answer within ${START_MS / 1000} s`);
    await sleep(100);
  }
}
