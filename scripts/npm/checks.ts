/** What users do with the npm packages. */

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

export interface Place {
  readonly root: string;
  /** The folder of the programs of the check. */
  readonly tools: string;
  /** Names the registry. */
  readonly env: NodeJS.ProcessEnv;
  /** A folder for the project of one check. */
  readonly folder: string;
}

/** Throws with what went wrong. */
export type Check = (place: Place) => void;

/** Versions that run on Node.js 20. */
const VITEST = ["vitest@4.1.12", "vite@8.3.8"];

/** Runs a program in the folder of the check. Returns both streams; throws unless it ends with `code`. */
function run(place: Place, command: readonly string[], code = 0): string {
  const { folder } = place;
  mkdirSync(folder, { recursive: true });
  const [program = "", ...args] = command;
  // bunx keeps what it has installed in the cache: another check must not find it there.
  const env = { ...place.env, BUN_INSTALL_CACHE_DIR: `${folder}-bun-cache` };
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: folder, env, encoding: "utf8" });
  const output = `${stdout}${stderr}`;
  if (status !== code) throw new Error(`${command.join(" ")} ended with ${error?.message ?? status}:\n${output}`);
  return output;
}

function mustSay(text: string, expected: RegExp): void {
  if (!expected.test(text)) throw new Error(`it says ${JSON.stringify(text)}, not ${expected}`);
}

function versionOf(place: Place): RegExp {
  const { version } = JSON.parse(readFileSync(join(place.root, "package.json"), "utf8")) as { version: string };
  return new RegExp(`^mongotap ${version.replaceAll(".", "\\.")}`, "m");
}

function project(place: Place): void {
  run(place, ["npm", "init", "-y"]);
  copyFileSync(join(place.root, "test/npm/shop.mjs"), join(place.folder, "shop.mjs"));
}

const INSTALL = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"];

/** Writes the recipe of the README for a test runner. */
function writeRecipe(place: Place, module: string, name = "orders.test.mjs"): void {
  const text = readFileSync(join(place.root, "test/npm/recipe.mjs"), "utf8");
  writeFileSync(join(place.folder, name), text.replace('"node:test"', `"${module}"`));
}

/** The environment without Node.js on the PATH, but with Bun and a shell. */
function withoutNode(place: Place): Place {
  const PATH = join(place.folder, "programs");
  mkdirSync(PATH, { recursive: true });
  for (const path of [process.execPath, "/bin/sh", "/usr/bin/env"]) symlinkSync(path, join(PATH, basename(path)));
  // `npm run` names Node.js here too, and bunx believes it.
  return { ...place, env: { ...place.env, PATH, NODE: undefined, npm_node_execpath: undefined } };
}

const bunx = ({ root }: Place): string => join(root, "node_modules/.bin/bunx");

const PACKAGES = [...INSTALL, "-D", "mongotap", "mongodb"];

export const CHECKS: Readonly<Record<string, Check>> = {
  "npx mongotap in an empty folder": (place) => {
    mustSay(run(place, ["npx", "--yes", "mongotap", "--version"]), versionOf(place));
  },
  "bunx mongotap in an empty folder": (place) => {
    mustSay(run(place, [bunx(place), "mongotap", "--version"]), versionOf(place));
  },
  "bunx mongotap without Node.js": (place) => {
    mustSay(run(withoutNode(place), [bunx(place), "mongotap", "--version"]), versionOf(place));
  },
  "npm install -g": (place) => {
    run(place, [...INSTALL, "-g", "--prefix", place.folder, "mongotap"]);
    mustSay(run(place, [join(place.folder, "bin/mongotap"), "--version"]), versionOf(place));
  },
  "npm install, without scripts, and npm ci": (place) => {
    project(place);
    run(place, [...PACKAGES, "--ignore-scripts"]);
    rmSync(join(place.folder, "node_modules"), { recursive: true });
    run(place, ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    mustSay(run(place, ["node_modules/.bin/mongotap", "--version"]), versionOf(place));
  },
  "npm install brings the binary of this platform alone": (place) => {
    project(place);
    run(place, PACKAGES);
    mustSay(run(place, ["ls", "node_modules/@mongotap"]), /^\S+\n$/);
  },
  "npm install --omit=optional says what is missing": (place) => {
    project(place);
    run(place, [...PACKAGES, "--omit=optional"]);
    mustSay(
      run(place, ["node_modules/.bin/mongotap", "--version"], 127),
      /^mongotap: the package @mongotap\/\S+ is not installed: [^\n]*\n$/,
    );
  },
  "the recipe with node --test": (place) => {
    project(place);
    run(place, PACKAGES);
    writeRecipe(place, "node:test");
    mustSay(run(place, ["node", "--test"]), /^# pass 1$/m);
  },
  "the recipe with Vitest": (place) => {
    project(place);
    run(place, [...PACKAGES, ...VITEST]);
    writeRecipe(place, "vitest");
    mustSay(run(place, ["node_modules/.bin/vitest", "run"]), /Tests +1 passed/);
  },
  "the recipe with bun install and bun test": (place) => {
    project(place);
    run(place, [process.execPath, "add", "-d", "mongotap", "mongodb"]);
    writeRecipe(place, "bun:test");
    mustSay(run(place, [process.execPath, "test"]), /^ *1 pass$/m);
  },
  "the recipe with pnpm install and node --test": (place) => {
    project(place);
    const pnpm = join(place.tools, "pnpm");
    run(place, [pnpm, "add", "-D", "mongotap", "mongodb"]);
    mustSay(run(place, [pnpm, "exec", "mongotap", "--version"]), versionOf(place));
    writeRecipe(place, "node:test");
    mustSay(run(place, ["node", "--test"]), /^# pass 1$/m);
  },
  "without the driver, startReplicaSet() says which package is missing": (place) => {
    project(place);
    run(place, [...INSTALL, "mongotap"]);
    if (existsSync(join(place.folder, "node_modules/mongodb"))) throw new Error("the command brings the driver");
    const code = `import { startReplicaSet } from "mongotap/testing"; await startReplicaSet();`;
    mustSay(run(place, ["node", "--input-type=module", "--eval", code], 1), /npm install --save-dev mongodb/);
  },
  "the types compile, strictly, and as old as es2022": (place) => {
    project(place);
    run(place, [...PACKAGES, "@types/node@20"]);
    writeRecipe(place, "node:test", "orders.test.mts");
    const declaration = "export declare function placeOrder(uri: string, number: number): Promise<void>;\n";
    writeFileSync(join(place.folder, "shop.d.mts"), declaration);
    const tsc = join(place.root, "node_modules/.bin/tsc");
    const flags = ["--noEmit", "--strict", "--target", "es2022", "--types", "node", "orders.test.mts"];
    for (const module of ["nodenext", "bundler"]) {
      const resolution =
        module === "bundler" ? ["--module", "esnext", "--moduleResolution", module] : ["--module", module];
      run(place, [tsc, ...resolution, ...flags]);
    }
  },
  "publint and attw find nothing": (place) => {
    const folder = join(place.root, "dist/npm/mongotap");
    run(place, [join(place.tools, "publint"), "--strict", folder]);
    run(place, [join(place.tools, "attw"), "--pack", folder, "--profile", "esm-only"]);
  },
};
