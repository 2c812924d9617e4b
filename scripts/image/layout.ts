/**
 * Writes images as an OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md): for each tag
 * one index of all processors, and for each processor a tag of its own, `TAG-amd64`.
 */

import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Entry, gzip, tar } from "../lib/tar.ts";
import type { Architecture } from "./debian.ts";

const MEDIA = "application/vnd.oci.image";

export interface Layer {
  /** In the history of the image. */
  readonly text: string;
  readonly entries: readonly Entry[];
}

export interface Image {
  readonly architecture: Architecture;
  /** The lowest first. */
  readonly layers: readonly Layer[];
}

/** The images of one tag, one for each processor. */
export interface Tagged {
  readonly tag: string;
  readonly images: readonly Image[];
  /** The `config` of the images: https://github.com/opencontainers/image-spec/blob/main/config.md. */
  readonly config: Readonly<Record<string, unknown>>;
}

export interface LayoutOptions {
  readonly folder: string;
  /** Of all files and of the image. */
  readonly time: Date;
  /** Of the index: labels for those who list images. */
  readonly annotations: Readonly<Record<string, string>>;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: "linux"; readonly architecture: Architecture };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image that was written, for the digest file and the report. */
export interface Written {
  readonly tag: string;
  /** Of the index: what a registry shows for the tag. */
  readonly digest: string;
  /** Bytes that a client downloads, by processor. */
  readonly downloads: ReadonlyMap<Architecture, number>;
}

/** Takes the place of what is in `folder`. */
export async function writeLayout(sets: readonly Tagged[], options: LayoutOptions): Promise<Written[]> {
  const { folder, annotations } = options;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
  const compressed: Compressed = new Map();
  const written: Written[] = [];
  const all: Descriptor[] = [];
  for (const { tag, images, config } of sets) {
    const downloads = new Map<Architecture, number>();
    const manifests: Descriptor[] = [];
    for (const image of images) {
      const { manifest, size } = await writeImage(image, config, options, compressed);
      downloads.set(image.architecture, size);
      manifests.push({ ...manifest, platform: { os: "linux", architecture: image.architecture } });
    }
    const index = writeJson(folder, `${MEDIA}.index.v1+json`, { manifests, annotations });
    written.push({ tag, digest: index.digest, downloads });
    all.push(named(index, tag), ...manifests.map((one) => named(one, `${tag}-${one.platform?.architecture}`)));
  }
  writeFileSync(join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}\n');
  writeFileSync(join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: all }));
  return written;
}

function named(descriptor: Descriptor, tag: string): Descriptor {
  return { ...descriptor, annotations: { "org.opencontainers.image.ref.name": tag } };
}

/** Layers that several images have: each is compressed once. */
type Compressed = Map<Layer, { readonly diffId: string; readonly descriptor: Descriptor }>;

async function writeImage(
  { architecture, layers }: Image,
  config: Tagged["config"],
  { folder, time, annotations }: LayoutOptions,
  compressed: Compressed,
): Promise<{ manifest: Descriptor; size: number }> {
  const descriptors: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const layer of layers) {
    const done = compressed.get(layer) ?? (await writeLayer(layer, folder, time));
    compressed.set(layer, done);
    diffIds.push(done.diffId);
    descriptors.push(done.descriptor);
  }
  const created = time.toISOString();
  const image = writeJson(folder, `${MEDIA}.config.v1+json`, {
    created,
    architecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: diffIds },
    history: layers.map(({ text }) => ({ created, created_by: text })),
  });
  const manifest = writeJson(folder, `${MEDIA}.manifest.v1+json`, { config: image, layers: descriptors, annotations });
  const size = [image, ...descriptors].reduce((sum, one) => sum + one.size, manifest.size);
  return { manifest, size };
}

async function writeLayer(
  { entries }: Layer,
  folder: string,
  time: Date,
): Promise<{ diffId: string; descriptor: Descriptor }> {
  const archive = await tar(entries, time);
  return { diffId: digestOf(archive), descriptor: writeBlob(folder, `${MEDIA}.layer.v1.tar+gzip`, gzip(archive)) };
}

function writeJson(folder: string, mediaType: string, value: Readonly<Record<string, unknown>>): Descriptor {
  // Manifests and indexes say their own type; a configuration has no such key.
  const head = mediaType.includes(".config.") ? {} : { schemaVersion: 2, mediaType };
  return writeBlob(folder, mediaType, Buffer.from(JSON.stringify({ ...head, ...value })));
}

function writeBlob(folder: string, mediaType: string, bytes: Uint8Array): Descriptor {
  const digest = digestOf(bytes);
  writeFileSync(join(folder, "blobs", digest.replace(":", "/")), bytes);
  return { mediaType, digest, size: bytes.length };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
