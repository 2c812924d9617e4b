import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { lockedPlatformPackage } from "../../scripts/complete-lockfile.ts";

const ROOT = join(import.meta.dirname, "../..");

interface Lock {
  readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>;
}

test("lockedPlatformPackage() reads the platform from the name", () => {
  expect(lockedPlatformPackage("@x/binding-linux-arm64-musl", "1.2.3", { dev: true })).toEqual({
    version: "1.2.3",
    cpu: ["arm64"],
    dev: true,
    libc: ["musl"],
    optional: true,
    os: ["linux"],
  });
  expect(lockedPlatformPackage("@x/binding-android-arm-eabi", "1.2.3", {})).toEqual({
    version: "1.2.3",
    cpu: ["arm"],
    optional: true,
    os: ["android"],
  });
  expect(() => lockedPlatformPackage("@x/mystery", "1.2.3", {})).toThrow("does not contain its platform");
});

test("package-lock.json has every optional package, so that npm ci accepts it on every platform", () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as Lock;
  const wanted = Object.values(packages).flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}));
  expect(wanted.filter((name) => packages[`node_modules/${name}`] === undefined)).toEqual([]);
});

test("the lock files and settings name no registry", () => {
  for (const name of ["package-lock.json", "bun.lock", ".npmrc", "package.json", "bunfig.toml"]) {
    const text = readFileSync(join(ROOT, name), "utf8");
    expect(text.match(/"resolved"|registry=|registry\.[a-z]/g) ?? [], name).toEqual([]);
  }
});
