/**
 * Writes the npm packages into dist/npm: `mongotap`, and the package with the binary of this machine. With `--all` the packages
 * of all platforms, whose binaries `scripts/build.ts --all` has built. `npm publish` takes each folder as it is; `mongotap`
 * comes last, because it depends on the others.
 */

import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { packagesFor } from "../npm/binary.ts";
import { programOf } from "./build/bundle.ts";
import { formatOf, type Target, TARGETS } from "./build/targets.ts";
import { buildLibrary } from "./npm/library.ts";
import {
  binaryFile,
  mainManifest,
  nextSteps,
  NOTICES_FILE,
  platformManifest,
  platformPackage,
  type Project,
} from "./npm/manifests.ts";

const ROOT = join(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");
const OUT = join(DIST, "npm");

const project = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Project;

function writePackage(name: string, manifest: object, readme: string): string {
  const folder = join(OUT, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(join(folder, "README.md"), readme);
  copyFileSync(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
  return folder;
}

/** @throws Error where `binary` was built for another platform, or is not there */
function writePlatform(target: Target, binary: string, notices: string): string {
  if (!existsSync(binary)) throw new Error(`${binary} is not there: run scripts/build.ts first`);
  if (!isDeepStrictEqual(formatOf(binary), target.format)) throw new Error(`${binary} is not for ${target.name}`);
  const name = platformPackage(target);
  const readme = `# ${name}\n\nThe binary of mongotap for one platform. Install the package mongotap, which needs this one.\n`;
  const folder = writePackage(name, platformManifest(project, target), readme);
  copyFileSync(binary, join(folder, binaryFile(target)));
  chmodSync(join(folder, binaryFile(target)), 0o755);
  writeFileSync(join(folder, NOTICES_FILE), notices);
  return folder;
}

/** The platform of this machine. */
function targetHere(): Target {
  const { platform, arch } = process;
  const [name] = packagesFor({ platform, arch, hasFile: existsSync });
  const target = TARGETS.find((candidate) => platformPackage(candidate) === name);
  if (target === undefined) throw new Error(`there is no package for ${platform} on ${arch}`);
  return target;
}

function checkVersion(binary: string): void {
  const said = execFileSync(binary, ["--version"], { encoding: "utf8" });
  if (!said.includes(project.version))
    throw new Error(`${binary} is ${said.trim()}, not ${project.version}: build it again`);
}

async function main(all: boolean): Promise<void> {
  rmSync(OUT, { recursive: true, force: true });
  const { notices } = await programOf(ROOT);
  const folders: string[] = [];
  if (all) {
    for (const target of TARGETS) {
      const suffix = target.format.container === "PE" ? ".exe" : "";
      folders.push(writePlatform(target, join(DIST, `mongotap-${target.name}${suffix}`), notices));
    }
  } else {
    const target = targetHere();
    const binary = join(DIST, binaryFile(target));
    folders.push(writePlatform(target, binary, notices));
    checkVersion(binary);
  }
  const readme = readFileSync(join(ROOT, "npm/README.md"), "utf8");
  const folder = writePackage(project.name, mainManifest(project, TARGETS), readme);
  await buildLibrary(ROOT, join(folder, "lib"));
  console.log(nextSteps([...folders, folder], all));
}

const { values } = parseArgs({ options: { all: { type: "boolean", default: false } } });
try {
  await main(values.all);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
