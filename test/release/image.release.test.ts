/**
 * The container image: what tools of others read in it, and that its root file system runs. It is made here, of dist/mongotap
 * for x64; or it is that of the release in MONGOTAP_RELEASE, for both processors.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { versionOf } from "../../scripts/build/binaries.ts";
import { revisionOf } from "../../scripts/build/revision.ts";
import { type Choice, debianPackages } from "../../scripts/image/debian.ts";
import { writeImage } from "../../scripts/image/image.ts";
import { librariesOf, PROGRAM, USER } from "../../scripts/image/root.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { expectBackfill } from "./backfill.ts";
import { runIn, targetOf } from "./bare-root.ts";
import { tool } from "./tools.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const BINARY = join(ROOT, "dist/mongotap");
const GIVEN = process.env["MONGOTAP_RELEASE"];
const VERSION = versionOf(ROOT);
const COMMIT = GIVEN === undefined ? revisionOf(ROOT).commit : revisionOf(ROOT).commit.replace("-dirty", "");

let folder: TempDir;
/** The layout, and the root file system that umoci unpacks of it. */
let layout: string;
let root: string;
let digest: string;

beforeAll(async () => {
  folder = await tempDir();
  layout = folder.join("image");
  if (GIVEN === undefined) await makeImage();
  else unpackImage(GIVEN);
  [digest = ""] = readFileSync(`${layout}.digest`, "utf8").split("  ");
  tool("umoci", ["unpack", "--image", `${layout}:${VERSION}-amd64`, folder.join("unpacked")]);
  root = folder.join("unpacked/rootfs");
}, 120_000);

afterAll(async () => await folder[Symbol.asyncDispose]());

async function makeImage(): Promise<void> {
  const options = { root: ROOT, binaries: { amd64: BINARY }, version: VERSION, ...revisionOf(ROOT), folder: layout };
  await writeImage({ ...options, packages: availablePackages() });
}

function unpackImage(release: string): void {
  mkdirSync(layout);
  tool("tar", ["-xf", join(release, `mongotap-${VERSION}-image.tar`), "-C", layout]);
  cpSync(join(release, `mongotap-${VERSION}-image.digest`), `${layout}.digest`);
}

/** The archive of Debian keeps the newest versions only. An image that is not released may have newer ones than the lock. */
function availablePackages(): Choice {
  try {
    debianPackages("amd64");
    return "locked";
  } catch (error) {
    console.warn(`── ${String(error)}`);
    return "newest";
  }
}

interface Inspected {
  readonly Digest: string;
  readonly Architecture: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Env: readonly string[];
}

test("skopeo reads the labels that OCI, Flow and Airbyte look at", () => {
  const inspected = JSON.parse(tool("skopeo", ["inspect", `oci:${layout}:${VERSION}`])) as Inspected;
  expect(inspected.Digest).toBe(digest);
  expect(readFileSync(`${layout}.digest`, "utf8")).toStartWith(`${digest}  ${VERSION}\n`);
  expect(inspected.Labels).toMatchObject({
    "org.opencontainers.image.title": "mongotap",
    "org.opencontainers.image.version": VERSION,
    "org.opencontainers.image.revision": COMMIT,
    "org.opencontainers.image.licenses": "Apache-2.0",
    FLOW_RUNTIME_PROTOCOL: "capture",
    FLOW_RUNTIME_CODEC: "json",
    CONNECTOR_PROTOCOL: "flow-capture",
    "dev.estuary.usage-rate": expect.stringMatching(/^\d+\.\d+$/),
    "io.airbyte.name": "source-mongotap",
    "io.airbyte.version": VERSION,
  });
  expect(inspected.Env).toContain("FLOW_RUNTIME_CODEC=json");
});

test("the index has an image for each processor", () => {
  const { manifests } = JSON.parse(tool("skopeo", ["inspect", "--raw", `oci:${layout}:${VERSION}`])) as {
    manifests: { platform: { os: string; architecture: string } }[];
  };
  const platforms = manifests.map(({ platform }) => `${platform.os}/${platform.architecture}`);
  expect(platforms).toEqual(GIVEN === undefined ? ["linux/amd64"] : ["linux/amd64", "linux/arm64"]);
});

test("skopeo copies the whole index to another layout, under the same digest", () => {
  const copy = folder.join("copy");
  tool("skopeo", ["copy", "--quiet", "--all", `oci:${layout}:${VERSION}`, `oci:${copy}:again`]);
  const inspected = JSON.parse(tool("skopeo", ["inspect", `oci:${copy}:again`])) as Inspected;
  expect(inspected.Digest).toBe(digest);
});

test("the program starts as a user that is not root", () => {
  const { config } = JSON.parse(tool("skopeo", ["inspect", "--config", `oci:${layout}:${VERSION}`])) as {
    config: { User: string; Entrypoint: string[]; WorkingDir: string };
  };
  expect(config).toMatchObject({ User: `${USER}:${USER}`, Entrypoint: [PROGRAM], WorkingDir: "/home/nonroot" });
  expect(readFileSync(join(root, "etc/passwd"), "utf8")).toContain(`nonroot:x:${USER}:${USER}:`);
  expect(statSync(join(root, config.WorkingDir)).uid).toBe(USER);
});

test("/tmp is for everybody, and the certificates are there", () => {
  expect(statSync(join(root, "tmp")).mode & 0o7777).toBe(0o1777);
  const certificates = readFileSync(join(root, "etc/ssl/certs/ca-certificates.crt"), "utf8");
  expect(certificates.match(/^-----BEGIN CERTIFICATE-----$/gm)?.length).toBeGreaterThan(100);
});

test("the images for platforms start as their connectors", () => {
  const entrypointOf = (tag: string): string[] => {
    const text = tool("skopeo", ["inspect", "--config", `oci:${layout}:${tag}`]);
    return (JSON.parse(text) as { config: { Entrypoint: string[] } }).config.Entrypoint;
  };
  expect(entrypointOf(`${VERSION}-airbyte`)).toEqual(["/usr/local/bin/source-mongotap"]);
  expect(entrypointOf(`${VERSION}-flow`)).toEqual([PROGRAM, "flow"]);
  const spec = runIn(root, [PROGRAM, "flow"], { user: USER, input: '{"spec":{"config":{}}}\n' });
  expect(JSON.parse(spec.stdout)).toMatchObject({ spec: { protocol: 3032023 } });
});

test("the image for Airbyte has a shell, which runs the program", () => {
  tool("umoci", ["unpack", "--image", `${layout}:${VERSION}-airbyte-amd64`, folder.join("shell")]);
  const script = "mkfifo /tmp/pipe && source-mongotap --version | cat";
  expect(runIn(folder.join("shell/rootfs"), ["/bin/sh", "-c", script], { user: USER })).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^mongotap /),
    stderr: "",
  });
});

test("there is no shell", () => {
  expect(["bin/sh", "usr/bin/sh", "bin/bash"].filter((path) => existsSync(join(root, path)))).toEqual([]);
});

test("links with the names of connectors lead to the program", () => {
  const links = ["source-mongotap", "tap-mongotap"].map((name) => targetOf(join(root, "usr/local/bin", name)));
  expect(links).toEqual(["mongotap", "mongotap"]);
});

test("it has each library that the program asks for", () => {
  const needed = [...tool("readelf", ["--dynamic", BINARY]).matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name);
  expect(needed.length).toBeGreaterThan(3);
  expect([...librariesOf("amd64")]).toEqual(expect.arrayContaining(needed));
});

test("--version says version, commit, target and runtime in its root file system", () => {
  expect(runIn(root, [PROGRAM, "--version"], { user: USER })).toEqual({
    code: 0,
    stdout: `mongotap ${VERSION} (${COMMIT}, linux-x64, Bun ${Bun.version})\n`,
    stderr: "",
  });
});

test("a backfill in its root file system has the lines of the server", async () => {
  await expectBackfill((args, env) => runIn(root, [PROGRAM, ...args], { user: USER, env }));
}, 60_000);
