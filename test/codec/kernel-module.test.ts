/** The committed module and what TypeScript knows of it belong to the sources in wasm/. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { digestOfSources } from "../../scripts/build-kernel.ts";
import { FLAG } from "../../src/codec/kernel.ts";
import { SOURCES } from "../../src/codec/kernel-module.ts";

test("kernel-module.ts was compiled from the sources in wasm/ (npm run kernel)", () => {
  expect(SOURCES).toBe(digestOfSources());
});

test("the flags have the same bits in src/codec/kernel.ts and in wasm/flags.ts", () => {
  const text = readFileSync(join(import.meta.dirname, "../../wasm/flags.ts"), "utf8");
  const inWasm = [...text.matchAll(/^export const (\w+): u32 = (\d+);$/gm)].map(([, name, bits]) => [
    name,
    Number(bits),
  ]);
  const inSource = Object.entries(FLAG).map(([name, bits]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
    bits,
  ]);
  expect(inWasm).toEqual(inSource);
});
