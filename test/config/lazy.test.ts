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
  for (const entry of ["src/main.ts", "src/help.ts", "src/config/resolve.ts"]) {
    expect([...loadedWith(entry)].filter((name) => !["valibot", "cac"].includes(name))).toEqual([]);
  }
});

test("what opens encrypted files is loaded only when one is encrypted", () => {
  expect([...loadedWith("src/config/read.ts")].toSorted()).toEqual(["valibot", "yaml"]);
});
