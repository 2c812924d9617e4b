/**
 * Compiles wasm/*.ts (AssemblyScript) to src/codec/kernel-module.ts. To be run after any change in wasm/:
 *
 *   bun scripts/build-kernel.ts          compiles, with the compiler that `npx` fetches
 *   bun scripts/build-kernel.ts --check  exits 1 if the module was made from other sources (by their digest)
 *   bun scripts/build-kernel.ts --verify exits 1 if compiling them again gives another module
 */

import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { MODULE, SOURCES } from "../src/codec/kernel-module.ts";

const COMPILER = "assemblyscript@0.28.20";
const OPTIONS =
  "-O3 --converge --noAssert --runtime stub --enable simd --importMemory --zeroFilledMemory --noExportMemory";

const folder = fileURLToPath(new URL("../wasm/", import.meta.url));
const target = fileURLToPath(new URL("../src/codec/kernel-module.ts", import.meta.url));

/** One digest for all sources, the compiler and its options. */
function digestOfSources(): string {
  const hash = createHash("sha256").update(COMPILER).update(OPTIONS);
  for (const name of readdirSync(folder).toSorted()) {
    if (name.endsWith(".ts")) hash.update(`\n${name}\n`).update(readFileSync(join(folder, name)));
  }
  return hash.digest("hex");
}

function compile(): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), "kernel-"));
  try {
    const output = join(directory, "kernel.wasm");
    const compiler = ["--yes", "--package", COMPILER, "asc"];
    execFileSync("npx", [...compiler, "kernel.ts", "-o", output, ...OPTIONS.split(" ")], {
      cwd: folder,
      stdio: ["ignore", "ignore", "inherit"],
    });
    return readFileSync(output);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const digest = digestOfSources();
if (process.argv.includes("--check")) {
  if (digest === SOURCES) process.exit(0);
  console.error("src/codec/kernel-module.ts was not made from wasm/: run `bun scripts/build-kernel.ts`");
  process.exit(1);
}

const bytes = compile();
const base64 = Buffer.from(bytes).toString("base64");
if (process.argv.includes("--verify")) {
  const isSame = digest === SOURCES && base64 === MODULE.replaceAll("\n", "");
  console.log(`src/codec/kernel-module.ts is ${isSame ? "" : "not "}what comes out of wasm/`);
  process.exit(isSame ? 0 : 1);
}
const lines = base64.match(/.{1,110}/g) ?? [];
writeFileSync(
  target,
  `/** The kernel, compiled from wasm/ by scripts/build-kernel.ts: do not edit. ${bytes.length} bytes of WebAssembly. */

/** The digest of what it was compiled from. */
export const SOURCES = "${digest}";

/** The module as base64. */
export const MODULE = \`
${lines.join("\n")}
\`;
`,
);
console.log(`${bytes.length} bytes of WebAssembly from ${COMPILER}`);
