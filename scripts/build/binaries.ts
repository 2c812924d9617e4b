/** Builds binaries for platforms, and looks at what was built. */

import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { baseBinary } from "./base.ts";
import { bundle, type Program } from "./bundle.ts";
import { checkSize, type Size, sizeOf } from "./size.ts";
import { formatOf, type Target, TARGETS } from "./targets.ts";

export interface Built {
  readonly path: string;
  readonly size: Size;
}

/** The platform of this machine. @throws Error if there are no binaries for it */
export function targetHere(): Target {
  const format = formatOf(process.execPath);
  const found = TARGETS.find((target) => isDeepStrictEqual(target.format, format));
  if (found === undefined) throw new Error(`there is no binary for ${Object.values(format).join(" ")}`);
  return found;
}

export function fileNameOf(target: Target): string {
  return target.format.container === "PE" ? "mongotap.exe" : "mongotap";
}

/** Builds with the Bun that runs this, for this machine. */
export async function buildHere(program: Program, commit: string, outfile: string): Promise<Built> {
  return await build(program, { outfile, commit, target: targetHere(), executablePath: process.execPath });
}

/** Builds with the Bun of the platform, from its npm package. */
export async function buildFor(program: Program, commit: string, target: Target, outfile: string): Promise<Built> {
  return await build(program, { outfile, commit, target, executablePath: baseBinary(program.root, target.base) });
}

async function build(program: Program, options: Parameters<typeof bundle>[1]): Promise<Built> {
  const { outfile, target, executablePath } = options;
  mkdirSync(dirname(outfile), { recursive: true });
  await bundle(program, options);
  const format = formatOf(outfile);
  if (!isDeepStrictEqual(format, target.format)) throw new Error(`${outfile} is ${Object.values(format).join(" ")}`);
  if (readFileSync(outfile).includes(program.root)) throw new Error(`${outfile} contains the path ${program.root}`);
  const size = sizeOf(outfile, executablePath);
  checkSize(size);
  return { path: outfile, size };
}

export function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
}
