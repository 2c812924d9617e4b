import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect, test } from "bun:test";

test("kernel-module.ts was compiled from what stands in wasm/", () => {
  const script = fileURLToPath(new URL("../../scripts/build-kernel.ts", import.meta.url));
  expect(() => execFileSync(process.execPath, [script, "--check"], { stdio: "pipe" })).not.toThrow();
});
