/** Makes the folder of a release. */

import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildFor, fileNameOf } from "../build/binaries.ts";
import { type Program, programOf } from "../build/bundle.ts";
import type { Revision } from "../build/revision.ts";
import { type Target, TARGETS } from "../build/targets.ts";
import type { Architecture } from "../image/debian.ts";
import { IN_IMAGE, writeImage } from "../image/image.ts";
import { type Entry, tar } from "../lib/tar.ts";
import { archive, archiveName } from "./archives.ts";
import { formula } from "./formula.ts";
import { writePackages } from "./packages.ts";
import { textsOf } from "./texts.ts";

/** The packages of Linux have the program for glibc. */
const PACKAGED = ["linux-x64", "linux-arm64"];

export interface ReleaseOptions {
  readonly root: string;
  /** Emptied first. */
  readonly folder: string;
  readonly version: string;
  readonly revision: Revision;
  /** The folder on the web where the files will be. */
  readonly url: string;
  readonly log: (line: string) => void;
}

/** Builds all and writes it. Two calls for one commit write the same bytes, wherever `root` is. */
export async function writeRelease(options: ReleaseOptions): Promise<void> {
  const { root, folder, version, revision, url, log } = options;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(root, "dist/release-"));
  try {
    const program = await programOf(root);
    const binaries = await buildAll(program, revision.commit, scratch, log);
    const common = { version, time: revision.time, texts: textsOf(root, program.notices, version, revision.time) };
    for (const [target, binary] of binaries) {
      writeFileSync(join(folder, archiveName(version, target)), await archive({ ...common, target, binary }));
      if (PACKAGED.includes(target.name)) writePackages({ ...common, target, binary, folder });
      log(`packed ${target.name}`);
    }
    writeFileSync(join(folder, `mongotap-${version}.cdx.json`), `${JSON.stringify(program.bill, null, 2)}\n`);
    writeFileSync(join(folder, "THIRD-PARTY-NOTICES.txt"), program.notices);
    await writeImageArchive(options, binaries, scratch);
    log("packed the image");
    writeFileSync(join(folder, "mongotap.rb"), formula({ version, url, archives: archivesOf(folder, version) }));
    writeFileSync(join(folder, "SHA256SUMS"), checksums(folder));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function buildAll(
  program: Program,
  commit: string,
  folder: string,
  log: (line: string) => void,
): Promise<Map<Target, string>> {
  const built = new Map<Target, string>();
  for (const target of TARGETS) {
    const { path } = await buildFor(program, commit, target, join(folder, target.name, fileNameOf(target)));
    built.set(target, path);
    log(`built ${target.name}`);
  }
  return built;
}

/** The layout of the image in one file, as `skopeo copy oci-archive:…` and `docker load` take it. */
async function writeImageArchive(
  { root, folder, version, revision }: ReleaseOptions,
  binaries: ReadonlyMap<Target, string>,
  scratch: string,
): Promise<void> {
  const layout = join(scratch, "image");
  const chosen: Partial<Record<Architecture, string>> = {};
  for (const [target, path] of binaries) {
    const architecture = IN_IMAGE.get(target.name);
    if (architecture !== undefined) chosen[architecture] = path;
  }
  await writeImage({ root, binaries: chosen, version, ...revision, folder: layout });
  const names = readdirSync(layout, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const entries = names.map((entry): Entry => {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(layout.length + 1).replaceAll("\\", "/");
    return { type: "file", path: name, mode: 0o644, content: readFileSync(path) };
  });
  writeFileSync(join(folder, `mongotap-${version}-image.tar`), await tar(entries, revision.time));
  cpSync(`${layout}.digest`, join(folder, `mongotap-${version}-image.digest`));
}

function archivesOf(folder: string, version: string): Map<string, { name: string; sha256: string }> {
  return new Map(
    TARGETS.map((target) => {
      const name = archiveName(version, target);
      return [target.name, { name, sha256: sha256(join(folder, name)) }];
    }),
  );
}

/** As `sha256sum --check` reads it. */
function checksums(folder: string): string {
  return readdirSync(folder)
    .toSorted()
    .map((name) => `${sha256(join(folder, name))}  ${name}\n`)
    .join("");
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
