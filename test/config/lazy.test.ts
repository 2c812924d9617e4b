import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

/** Packages that are loaded as soon as `entry` is: through imports that are not `import()`, and not types. */
function loadedWith(entry: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const imports = readFileSync(path, "utf8").matchAll(/^(?:import|export)\s+(?!type\b)[^;]*?from "([^"]+)"/gm);
    for (const [, target = ""] of imports) {
      if (target.endsWith(".ts")) visit(join(dirname(path), target));
      else if (!target.startsWith("node:") && !target.endsWith(".json")) packages.add(target);
    }
  };
  visit(join(ROOT, entry));
  return packages;
}

test("what reads config files is loaded only when there is one", () => {
  expect([...loadedWith("src/config/resolve.ts")].filter((name) => name !== "valibot")).toEqual([]);
});

test("the process loads no package before it knows what is wanted, and the help none but cac", () => {
  expect([...loadedWith("src/main.ts")]).toEqual([]);
  expect([...loadedWith("src/help.ts")]).toEqual(["cac"]);
});

test("what opens encrypted files is loaded only when one is encrypted", () => {
  expect([...loadedWith("src/config/config-file.ts")].toSorted()).toEqual(["valibot", "yaml"]);
});
