/**
 * Compiles wasm/*.ts (AssemblyScript) to src/codec/kernel-module.ts, which is committed. Run it after any change in wasm/:
 *
 *   bun scripts/build-kernel.ts           compiles and writes the module
 *   bun scripts/build-kernel.ts --verify  compiles, and exits 1 if the committed module is different
 *
 * The compiler is the pinned devDependency `assemblyscript`.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import packageJson from "../package.json" with { type: "json" };
import { MODULE, SOURCES } from "../src/codec/kernel-module.ts";

const ROOT = join(import.meta.dirname, "..");
const FOLDER = join(ROOT, "wasm");
const TARGET = "src/codec/kernel-module.ts";
const COMPILER = `asc ${packageJson.devDependencies.assemblyscript}`;
const OPTIONS =
  "-O3 --converge --noAssert --runtime stub --enable simd --importMemory --zeroFilledMemory --noExportMemory";

/** SHA-256 of the sources, the version of the compiler and its options, in hex. */
export function digestOfSources(): string {
  const hash = createHash("sha256").update(COMPILER).update(OPTIONS);
  for (const name of readdirSync(FOLDER).toSorted()) {
    if (name.endsWith(".ts")) hash.update(`\n${name}\n`).update(readFileSync(join(FOLDER, name)));
  }
  return hash.digest("hex");
}

/**
 * The text of a source as the compiler wants it. In wasm/ a decorator of a function is a comment and an import has an
 * extension, so that the formatter, the linter and tsc can read the files; the compiler knows neither.
 */
function asAssemblyScript(text: string): string {
  return text.replaceAll(/^\/\/ @inline$/gm, "@inline").replaceAll(/(?<= from "\.\/\w+)\.ts(?=";$)/gm, "");
}

/** Compiles wasm/kernel.ts. The messages of the compiler go to standard error; if there is an error, the process ends. */
async function compile(): Promise<Uint8Array> {
  const { main } = await import("assemblyscript/asc");
  const names = readdirSync(FOLDER);
  let output: Uint8Array | undefined;
  const { error } = await main(["kernel.ts", "--outFile", "kernel.wasm", ...OPTIONS.split(" ")], {
    readFile: (name) => (names.includes(name) ? asAssemblyScript(readFileSync(join(FOLDER, name), "utf8")) : null),
    writeFile: (_name, contents) => {
      output = Buffer.from(contents);
    },
    listFiles: () => null,
    stderr: { write: (text) => void process.stderr.write(text) },
  });
  if (error === null && output !== undefined) return output;
  process.stderr.write(`wasm/ does not compile: ${error?.message}\n`);
  process.exit(1);
}

function moduleText(bytes: Uint8Array, digest: string): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,110}/g) ?? [];
  return `/** The kernel, compiled from wasm/ by scripts/build-kernel.ts: do not edit. ${bytes.length} bytes of WebAssembly. */

/** The digest of what it was compiled from. */
export const SOURCES = "${digest}";

/** The module as base64. */
export const MODULE = \`
${lines.join("\n")}
\`;
`;
}

if (import.meta.main) {
  const bytes = await compile();
  const digest = digestOfSources();
  if (process.argv.includes("--verify")) {
    const isSame = digest === SOURCES && Buffer.from(bytes).equals(Buffer.from(MODULE, "base64"));
    console.log(
      isSame
        ? `${TARGET} is what ${COMPILER} makes of wasm/`
        : `${TARGET} was not made from wasm/: run bun scripts/build-kernel.ts`,
    );
    process.exitCode = isSame ? 0 : 1;
  } else {
    writeFileSync(join(ROOT, TARGET), moduleText(bytes, digest));
    console.log(`${bytes.length} bytes of WebAssembly from ${COMPILER}`);
  }
}
