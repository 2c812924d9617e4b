/** Builds the JavaScript and the declarations of the package `mongotap` from npm/. */

import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Packages of the user's project. */
const EXTERNAL = ["mongodb", "mongodb-memory-server-core"];

/** Files with types that users see. */
const DECLARATIONS = ["testing.d.ts", "recorder.d.ts"];

/** Writes bin.js, testing.js, what they load, and the declarations into `outdir`. Throws with the messages of the tools. */
export async function buildLibrary(root: string, outdir: string): Promise<void> {
  // In builds of their own: `mongotap` must not load what tests need.
  await bundle([join(root, "npm/bin.ts")], outdir);
  await bundle([join(root, "npm/testing.ts"), join(root, "npm/mongod/download-child.ts")], outdir);
  chmodSync(join(outdir, "bin.js"), 0o755);
  writeDeclarations(root, outdir);
}

async function bundle(entrypoints: string[], outdir: string): Promise<void> {
  const result = await Bun.build({
    entrypoints,
    outdir,
    target: "node",
    format: "esm",
    splitting: entrypoints.length > 1,
    // All files in one folder, where `new URL("./download-child.js", import.meta.url)` finds its file.
    naming: { entry: "[name].js", chunk: "chunk-[hash].js" },
    external: EXTERNAL,
    throw: false,
  });
  if (!result.success) throw new Error(result.logs.map(String).join("\n"));
}

function writeDeclarations(root: string, outdir: string): void {
  const scratch = mkdtempSync(join(tmpdir(), "mongotap-types-"));
  try {
    const tsc = join(root, "node_modules/.bin/tsc");
    const flags = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--outDir", scratch];
    execFileSync(tsc, ["-p", join(root, "npm"), ...flags], { stdio: ["ignore", "inherit", "inherit"] });
    for (const name of DECLARATIONS) {
      const text = readFileSync(join(scratch, name), "utf8");
      writeFileSync(join(outdir, name), text.replaceAll(/(from "\.\/[\w-]+)\.ts"/g, '$1.js"'));
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
