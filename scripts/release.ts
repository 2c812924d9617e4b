/**
 * Makes `dist/release/`, everything that a release offers for download: `bun scripts/release.ts [--url URL]`.
 *   --url URL  where the files will be, for the formula of Homebrew
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { versionOf } from "./build/binaries.ts";
import { revisionOf } from "./build/revision.ts";
import { writeRelease } from "./release/release.ts";

const ROOT = join(import.meta.dirname, "..");

const { values } = parseArgs({ options: { url: { type: "string", default: "https://example.com/mongotap" } } });
try {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  await writeRelease({
    root: ROOT,
    folder: join(ROOT, "dist/release"),
    version: versionOf(ROOT),
    revision: revisionOf(ROOT),
    url: values.url.replace(/\/$/, ""),
    log: console.log,
  });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
