/** Which package the binary is taken from. */

import { expect, test } from "bun:test";
import { binaryPath, packagesFor } from "../../npm/binary.ts";
import { TARGETS } from "../../scripts/build/targets.ts";
import { platformPackage } from "../../scripts/npm/manifests.ts";

const LOADERS: Readonly<Record<string, readonly string[]>> = {
  none: [],
  "x64 glibc": ["/lib64/ld-linux-x86-64.so.2"],
  "x64 musl": ["/lib/ld-musl-x86_64.so.1"],
  "arm64 glibc": ["/lib/ld-linux-aarch64.so.1"],
  "arm64 musl": ["/lib/ld-musl-aarch64.so.1"],
};

const withLoaders =
  (...names: string[]) =>
  (path: string): boolean =>
    names.some((name) => LOADERS[name]?.includes(path));

test("every target has a package that packagesFor() names first on its machine", () => {
  const first = TARGETS.map(({ format: { container, cpu, libc } }) => {
    const platform = { ELF: "linux", "Mach-O": "darwin", PE: "win32" }[container];
    return packagesFor({ platform, arch: cpu, hasFile: withLoaders(`${cpu} ${libc}`) })[0];
  });
  expect(first).toEqual(TARGETS.map(platformPackage));
});

test("packagesFor() prefers musl only where a program for glibc cannot run", () => {
  const first = (...loaders: string[]): string | undefined =>
    packagesFor({ platform: "linux", arch: "x64", hasFile: withLoaders(...loaders) })[0];
  expect(first("x64 musl")).toBe("@mongotap/linux-x64-musl");
  expect(first("x64 musl", "x64 glibc")).toBe("@mongotap/linux-x64");
  expect(first("none")).toBe("@mongotap/linux-x64");
});

const PACKAGES = TARGETS.map(platformPackage);

function find(platform: string, arch: string, installed: readonly string[]): string {
  const resolve = (path: string): string => {
    if (!installed.some((name) => path.startsWith(`${name}/`))) throw new Error("not found");
    return `/node_modules/${path}`;
  };
  return binaryPath({ platform, arch, hasFile: withLoaders("x64 glibc") }, { resolve, packages: PACKAGES });
}

test("binaryPath() takes the package that is installed, also where the other C library was expected", () => {
  expect(find("linux", "x64", PACKAGES)).toBe("/node_modules/@mongotap/linux-x64/mongotap");
  expect(find("linux", "x64", ["@mongotap/linux-x64-musl"])).toBe("/node_modules/@mongotap/linux-x64-musl/mongotap");
  expect(find("win32", "x64", PACKAGES)).toBe("/node_modules/@mongotap/win32-x64/mongotap.exe");
});

test("binaryPath() says in one line which package is missing, or that there is none", () => {
  expect(() => find("linux", "x64", ["@mongotap/darwin-x64"])).toThrow(
    /^the package @mongotap\/linux-x64 is not installed: install mongotap again on this machine, without .*$/,
  );
  expect(() => find("freebsd", "x64", PACKAGES)).toThrow(
    "there is no binary for freebsd-x64, only for darwin-arm64, darwin-x64, linux-arm64, linux-arm64-musl, linux-x64, linux-x64-musl, win32-x64",
  );
});
