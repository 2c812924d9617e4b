/** The committed module and what TypeScript knows of it belong to the sources in wasm/. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { digestOfSources } from "../../scripts/build-kernel.ts";
import { BSON } from "../../src/codec/bson.ts";
import { FLAG } from "../../src/codec/kernel.ts";
import { SOURCES } from "../../src/codec/kernel-module.ts";

test("kernel-module.ts was compiled from the sources in wasm/ (npm run kernel)", () => {
  expect(SOURCES).toBe(digestOfSources());
});

/** The numbers that a file of wasm/ exports, by name. */
function constantsOf(file: string): Record<string, number> {
  const text = readFileSync(join(import.meta.dirname, "../../wasm", file), "utf8");
  const found = text.matchAll(/^export const (\w+): u32 = (\w+);$/gm);
  return Object.fromEntries([...found].map(([, name, number]) => [name, Number(number)]));
}

function inCapitals(constants: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(constants).map(([name, number]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
      number,
    ]),
  );
}

test("the flags have the same bits in src/codec/kernel.ts and in wasm/flags.ts", () => {
  expect(constantsOf("flags.ts")).toEqual(inCapitals(FLAG));
});

test("the types have the same bytes in src/codec/bson.ts and in wasm/types.ts", () => {
  const { regex: _1, dbPointer: _2, code: _3, symbol: _4, codeWithScope: _5, ...written } = BSON;
  expect(constantsOf("types.ts")).toEqual(inCapitals(written));
});
