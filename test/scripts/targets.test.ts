import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TARGETS, formatOf } from "../../scripts/build/targets.ts";

/** Bytes at offsets, the rest zero. */
function head(...parts: readonly (readonly [offset: number, bytes: string])[]): Uint8Array {
  const bytes = Buffer.alloc(512);
  for (const [offset, text] of parts) bytes.write(text, offset, "latin1");
  return bytes;
}

const SAMPLES: readonly (readonly [says: string, bytes: Uint8Array])[] = [
  ["ELF x64 glibc", head([0, "\x7fELF"], [18, "\x3e\0"], [200, "/lib64/ld-linux-x86-64.so.2"])],
  ["ELF arm64 musl", head([0, "\x7fELF"], [18, "\xb7\0"], [200, "/lib/ld-musl-aarch64.so.1"])],
  ["Mach-O x64", head([0, "\xcf\xfa\xed\xfe\x07\0\0\x01"])],
  ["Mach-O arm64", head([0, "\xcf\xfa\xed\xfe\x0c\0\0\x01"])],
  ["PE x64", head([0, "MZ"], [0x3c, "\x80"], [0x80, "PE\0\0\x64\x86"])],
];

test("formatOf() finds container, processor and C library", () => {
  const folder = mkdtempSync(join(tmpdir(), "mongotap-format-"));
  try {
    const said = SAMPLES.map(([, bytes], index) => {
      const path = join(folder, String(index));
      writeFileSync(path, bytes);
      return Object.values(formatOf(path)).join(" ");
    });
    expect(said).toEqual(SAMPLES.map(([says]) => says));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("formatOf() throws on a file that is not an executable", () => {
  expect(() => formatOf(join(import.meta.dirname, "../../package.json"))).toThrow("is not an executable");
});

test("TARGETS hold seven machines, each once", () => {
  expect(new Set(TARGETS.map(({ name, bun, base }) => `${name} ${bun} ${base}`)).size).toBe(7);
});
