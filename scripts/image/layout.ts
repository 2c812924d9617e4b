/**
 * Writes an image as an OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md): one index
 * for all processors under the tag of the version, and each image under a tag of its own.
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

export interface LayoutOptions {
  readonly folder: string;
  readonly tag: string;
  /** Of all files and of the image. */
  readonly time: Date;
  /** The `config` of the image: https://github.com/opencontainers/image-spec/blob/main/config.md. */
  readonly config: Readonly<Record<string, unknown>>;
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

/** What was written, for the digest file and the report. */
export interface Written {
  /** Of the index: what a registry shows for the tag. */
  readonly digest: string;
  /** Bytes that a client downloads, by processor. */
  readonly downloads: ReadonlyMap<Architecture, number>;
}

/** Takes the place of what is in `folder`. */
export async function writeLayout(images: readonly Image[], options: LayoutOptions): Promise<Written> {
  const { folder, tag, annotations } = options;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
  const downloads = new Map<Architecture, number>();
  const manifests: Descriptor[] = [];
  for (const image of images) {
    const { manifest, size } = await writeImage(image, options);
    downloads.set(image.architecture, size);
    manifests.push({ ...manifest, platform: { os: "linux", architecture: image.architecture } });
  }
  const index = writeJson(folder, `${MEDIA}.index.v1+json`, { manifests, annotations });
  const tagged = [
    { ...index, annotations: { "org.opencontainers.image.ref.name": tag } },
    ...manifests.map((one) => ({
      ...one,
      annotations: { "org.opencontainers.image.ref.name": `${tag}-${one.platform?.architecture}` },
    })),
  ];
  writeFileSync(join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}\n');
  writeFileSync(join(folder, "index.json"), json({ schemaVersion: 2, manifests: tagged }));
  return { digest: index.digest, downloads };
}

async function writeImage(
  { architecture, layers }: Image,
  { folder, time, config, annotations }: LayoutOptions,
): Promise<{ manifest: Descriptor; size: number }> {
  const descriptors: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const { entries } of layers) {
    const archive = await tar(entries, time);
    diffIds.push(digestOf(archive));
    descriptors.push(writeBlob(folder, `${MEDIA}.layer.v1.tar+gzip`, gzip(archive)));
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

function writeJson(folder: string, mediaType: string, value: Readonly<Record<string, unknown>>): Descriptor {
  // Manifests and indexes say their own type; a configuration has no such key.
  const head = mediaType.includes(".config.") ? {} : { schemaVersion: 2, mediaType };
  return writeBlob(folder, mediaType, Buffer.from(json({ ...head, ...value })));
}

function writeBlob(folder: string, mediaType: string, bytes: Uint8Array): Descriptor {
  const digest = digestOf(bytes);
  writeFileSync(join(folder, "blobs", digest.replace(":", "/")), bytes);
  return { mediaType, digest, size: bytes.length };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function json(value: unknown): string {
  return JSON.stringify(value);
}
