/** The archives of a release: the program and the files beside it, in one folder. */

import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { ZipFile } from "yazl";
import { fileNameOf } from "../build/binaries.ts";
import type { Target } from "../build/targets.ts";
import { type Entry, gzip, tar } from "../lib/tar.ts";
import type { Texts } from "./texts.ts";

export function archiveName(version: string, target: Target): string {
  return `${folderName(version, target)}.${target.format.container === "PE" ? "zip" : "tar.gz"}`;
}

function folderName(version: string, target: Target): string {
  return `mongotap-${version}-${target.name}`;
}

interface ArchiveOptions {
  readonly target: Target;
  readonly binary: string;
  readonly texts: Texts;
  readonly version: string;
  readonly time: Date;
}

/** The bytes of a .tar.gz, or of a .zip for Windows. */
export async function archive({ target, binary, texts, version, time }: ArchiveOptions): Promise<Buffer> {
  const files: readonly (readonly [path: string, content: string])[] = [
    ["LICENSE", texts.license],
    ["README.md", texts.readme],
    ["THIRD-PARTY-NOTICES.txt", texts.notices],
    ...(target.format.container === "PE" ? [] : beside(texts)),
  ];
  const folder = folderName(version, target);
  const entries: readonly (Entry & { type: "file" })[] = [
    { type: "file", path: `${folder}/${fileNameOf(target)}`, mode: 0o755, content: readFileSync(binary) },
    ...files.map(([path, content]) => ({ type: "file" as const, path: `${folder}/${path}`, mode: 0o644, content })),
  ];
  return target.format.container === "PE" ? await zip(entries, time) : gzip(await tar(entries, time));
}

function beside(texts: Texts): (readonly [path: string, content: string])[] {
  return [
    ["man/mongotap.1", texts.manual],
    ["completions/mongotap.bash", texts.bash],
    ["completions/_mongotap", texts.zsh],
    ["completions/mongotap.fish", texts.fish],
  ];
}

async function zip(entries: readonly (Entry & { type: "file" })[], time: Date): Promise<Buffer> {
  const file = new ZipFile();
  // The format has local times, and yazl writes those of this machine: a time that reads the same here as `time` in UTC.
  const mtime = new Date(time.getTime() + time.getTimezoneOffset() * 60_000);
  for (const { path, mode, content } of entries) {
    file.addBuffer(Buffer.from(content), path, { mtime, mode: 0o100000 | mode, forceDosTimestamp: true });
  }
  file.end();
  return await buffer(file.outputStream);
}
