/**
 * Builds `dist/mongotap` for this machine and tests it: `bun scripts/build.ts [--all] [--image] [--contents]`.
 *   --all       also `dist/mongotap-<system>-<processor>` for every supported platform
 *   --image     also the container image, as an OCI layout in `dist/image`, with its digest in `dist/image.digest`
 *   --contents  prints what the binary consists of, and what the image does
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildFor, buildHere, fileNameOf, targetHere, versionOf } from "./build/binaries.ts";
import { type Program, programOf } from "./build/bundle.ts";
import { type Revision, revisionOf } from "./build/revision.ts";
import { contentsOf, type Size } from "./build/size.ts";
import { smokeTest } from "./build/smoke.ts";
import { type Target, TARGETS } from "./build/targets.ts";
import type { Architecture } from "./image/debian.ts";
import { IN_IMAGE, writeImage } from "./image/image.ts";

const ROOT = join(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");
const VERSION = versionOf(ROOT);

async function forThisMachine(program: Program, { commit }: Revision, withContents: boolean): Promise<void> {
  const target = targetHere();
  const { path, size } = await buildHere(program, commit, join(DIST, fileNameOf(target)));
  const { startMs, memoryMB } = await smokeTest(
    path,
    `mongotap ${VERSION} (${commit}, ${target.name}, Bun ${Bun.version})\n`,
  );
  report(fileNameOf(target), size, `--help: ${startMs.toFixed(1)} ms, ${memoryMB.toFixed(0)} MB`);
  if (withContents) console.log(contentsOf(size, program));
}

async function forTarget(program: Program, { commit }: Revision, target: Target): Promise<string> {
  const name = fileNameOf(target).replace("mongotap", `mongotap-${target.name}`);
  const { path, size } = await buildFor(program, commit, target, join(DIST, name));
  report(name, size, Object.values(target.format).join(" "));
  return path;
}

async function image(program: Program, revision: Revision): Promise<void> {
  const binaries: Partial<Record<Architecture, string>> = {};
  for (const target of TARGETS) {
    const architecture = IN_IMAGE.get(target.name);
    if (architecture !== undefined) binaries[architecture] = await forTarget(program, revision, target);
  }
  const folder = join(DIST, "image");
  for (const { tag, digest, downloads } of await writeImage({
    root: ROOT,
    binaries,
    version: VERSION,
    ...revision,
    folder,
  })) {
    const sizes = [...downloads].map(([architecture, bytes]) => `${architecture} ${(bytes / 1e6).toFixed(1)} MB`);
    console.log(`dist/image:${tag}  ${digest}\n  compressed, as it is downloaded: ${sizes.join(", ")}`);
  }
}

function report(name: string, { total }: Size, remark: string): void {
  console.log(`${name.padEnd(28)} ${(total / 1e6).toFixed(0).padStart(4)} MB  ${remark}`);
}

const { values } = parseArgs({
  options: {
    all: { type: "boolean", default: false },
    image: { type: "boolean", default: false },
    contents: { type: "boolean", default: false },
  },
});
try {
  const revision = revisionOf(ROOT);
  const program = await programOf(ROOT);
  await forThisMachine(program, revision, values.contents);
  if (values.all) for (const target of TARGETS) await forTarget(program, revision, target);
  if (values.image) await image(program, revision);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
