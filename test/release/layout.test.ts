/** Archives and image layouts: their bytes depend on what is put in, and on nothing else. */

import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type Image, type Layer, type LayoutOptions, type Tagged, writeLayout } from "../../scripts/image/layout.ts";
import { type Entry, gzip, tar } from "../../scripts/lib/tar.ts";
import { tempDir } from "../support/temp.ts";

const TIME = new Date("2026-01-31T12:00:00Z");
const ENTRIES: readonly Entry[] = [
  { type: "symlink", path: "usr/bin/other", target: "program" },
  { type: "file", path: "usr/bin/program", mode: 0o755, content: "#!/bin/sh\n" },
  { type: "directory", path: "tmp", mode: 0o1777 },
  { type: "directory", path: "home/user", mode: 0o750, owner: 65532 },
];

test("tar() writes what tar reads: folders first, modes, owners, links, one time", async () => {
  const bytes = await tar(ENTRIES, TIME);
  const listed = execFileSync("tar", ["--list", "--verbose", "--numeric-owner", "--utc", "--full-time"], {
    input: bytes,
  });
  const rows = listed
    .toString()
    .trim()
    .split("\n")
    .map((row) => row.replaceAll(/ +/g, " "));
  expect(rows).toEqual([
    "drwxr-xr-x 0/0 0 2026-01-31 12:00:00 home/",
    "drwxr-x--- 65532/65532 0 2026-01-31 12:00:00 home/user/",
    "drwxrwxrwt 0/0 0 2026-01-31 12:00:00 tmp/",
    "drwxr-xr-x 0/0 0 2026-01-31 12:00:00 usr/",
    "drwxr-xr-x 0/0 0 2026-01-31 12:00:00 usr/bin/",
    "lrwxrwxrwx 0/0 0 2026-01-31 12:00:00 usr/bin/other -> program",
    "-rwxr-xr-x 0/0 10 2026-01-31 12:00:00 usr/bin/program",
  ]);
  expect(await tar(ENTRIES.toReversed(), TIME)).toEqual(bytes);
});

test("tar() refuses two entries of one path", async () => {
  const twice: Entry = { type: "directory", path: "tmp", mode: 0o755 };
  expect(await tar([...ENTRIES, twice], TIME).catch(String)).toContain("one path");
});

test("gzip() writes no time", () => {
  expect(gzip(Buffer.from("text")).subarray(4, 8)).toEqual(Buffer.alloc(4));
});

function optionsFor(folder: string, time = TIME): LayoutOptions {
  return {
    folder,
    time,
    annotations: { "org.opencontainers.image.title": "x" },
  };
}

const LAYER: Layer = { text: "all", entries: ENTRIES };
const images = (...layers: Layer[]): Image[] => [
  { architecture: "amd64", layers },
  { architecture: "arm64", layers },
];
const CONFIG = { User: "65532" };
const SETS: readonly Tagged[] = [
  { tag: "1.0", images: images(LAYER), config: CONFIG },
  { tag: "1.0-more", config: CONFIG, images: images(LAYER, { text: "more", entries: ENTRIES.slice(0, 1) }) },
];

test("writeLayout() writes the same digests into two folders, and others for another time", async () => {
  await using dir = await tempDir();
  const [first, second, later] = [
    await writeLayout(SETS, optionsFor(dir.join("a"))),
    await writeLayout(SETS, optionsFor(dir.join("b/deeper"))),
    await writeLayout(SETS, optionsFor(dir.join("c"), new Date(TIME.getTime() + 1000))),
  ];
  expect(second).toEqual(first);
  expect(readdirSync(dir.join("b/deeper/blobs/sha256"))).toEqual(readdirSync(dir.join("a/blobs/sha256")));
  expect(later.map(({ digest }) => digest)).not.toEqual(first.map(({ digest }) => digest));
});

test("writeLayout() names each blob by its digest, and layers by what is in them", async () => {
  await using dir = await tempDir();
  await writeLayout(SETS, optionsFor(dir.join("image")));
  const blobs = dir.join("image/blobs/sha256");
  const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  expect(readdirSync(blobs).filter((name) => digest(readFileSync(`${blobs}/${name}`)) !== name)).toEqual([]);

  interface Descriptor {
    digest: string;
    platform?: { architecture: string };
    annotations: Record<string, string>;
  }
  const read = (name: string): unknown => JSON.parse(readFileSync(`${blobs}/${name.replace("sha256:", "")}`, "utf8"));
  const { manifests } = JSON.parse(readFileSync(dir.join("image/index.json"), "utf8")) as { manifests: Descriptor[] };
  expect(manifests.map((one) => one.annotations["org.opencontainers.image.ref.name"])).toEqual([
    "1.0",
    "1.0-amd64",
    "1.0-arm64",
    "1.0-more",
    "1.0-more-amd64",
    "1.0-more-arm64",
  ]);
  const index = read(manifests[0]?.digest ?? "") as { manifests: Descriptor[] };
  expect(index.manifests.map((one) => one.platform?.architecture)).toEqual(["amd64", "arm64"]);
  for (const { digest: manifest, platform } of index.manifests) {
    const { config, layers } = read(manifest) as { config: Descriptor; layers: Descriptor[] };
    const image = read(config.digest) as { architecture: string; rootfs: { diff_ids: string[] } };
    expect(image.architecture).toBe(platform?.architecture ?? "");
    const diffs = layers.map((layer) => digest(gunzipSync(readFileSync(`${blobs}/${layer.digest.slice(7)}`))));
    expect(image.rootfs.diff_ids).toEqual(diffs.map((hex) => `sha256:${hex}`));
  }
});
