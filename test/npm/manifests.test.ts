/** The package.json of the npm packages. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TARGETS } from "../../scripts/build/targets.ts";
import {
  mainManifest,
  nextSteps,
  NOTICES_FILE,
  platformManifest,
  platformPackage,
  type Project,
} from "../../scripts/npm/manifests.ts";

const PROJECT = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as Project;

test("the package mongotap depends on exactly its own version of each platform package", () => {
  const { optionalDependencies, version } = mainManifest(PROJECT, TARGETS) as {
    optionalDependencies: Record<string, string>;
    version: string;
  };
  expect(version).toBe(PROJECT.version);
  expect(optionalDependencies).toEqual(
    Object.fromEntries(TARGETS.map((target) => [platformPackage(target), PROJECT.version])),
  );
});

test("a platform package is installed on its own system, processor and C library only", () => {
  const manifests = TARGETS.map((target) => platformManifest(PROJECT, target) as Record<string, unknown>);
  const binaryOf = (files: unknown): unknown => (files as string[]).filter((file) => file !== NOTICES_FILE);
  expect(manifests.map(({ name, os, cpu, libc, files }) => [name, os, cpu, libc, binaryOf(files)])).toEqual([
    ["@mongotap/linux-x64", ["linux"], ["x64"], ["glibc"], ["mongotap"]],
    ["@mongotap/linux-arm64", ["linux"], ["arm64"], ["glibc"], ["mongotap"]],
    ["@mongotap/linux-x64-musl", ["linux"], ["x64"], ["musl"], ["mongotap"]],
    ["@mongotap/linux-arm64-musl", ["linux"], ["arm64"], ["musl"], ["mongotap"]],
    ["@mongotap/darwin-x64", ["darwin"], ["x64"], undefined, ["mongotap"]],
    ["@mongotap/darwin-arm64", ["darwin"], ["arm64"], undefined, ["mongotap"]],
    ["@mongotap/win32-x64", ["win32"], ["x64"], undefined, ["mongotap.exe"]],
  ]);
});

test("no package runs a script when it is installed", () => {
  const all = [mainManifest(PROJECT, TARGETS), ...TARGETS.map((target) => platformManifest(PROJECT, target))];
  expect(all.filter((manifest) => "scripts" in manifest)).toEqual([]);
});

test("npm run npm says what to do with its folders, and which is published last", () => {
  const folders = ["/dist/npm/@mongotap/linux-x64", "/dist/npm/mongotap"];
  expect(nextSteps(folders, false).split("\n")).toEqual([
    ...folders,
    "",
    "Install both into a project:",
    `npm install -D --install-links ${folders.join(" ")}`,
  ]);
  expect(nextSteps(folders, true)).toEndWith(`last:\n${folders.map((folder) => `npm publish ${folder}`).join("\n")}`);
});
