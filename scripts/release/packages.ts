/** The packages for Debian and for Red Hat and their kin, made by nfpm (https://nfpm.goreleaser.com/configuration). */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Target } from "../build/targets.ts";
import { goTool } from "../lib/go-tool.ts";
import { gzip } from "../lib/tar.ts";
import type { Texts } from "./texts.ts";

const FILES = join(import.meta.dirname, "files");

type Format = "deb" | "rpm";
const FORMATS: readonly Format[] = ["deb", "rpm"];

interface PackageOptions {
  readonly target: Target;
  readonly binary: string;
  readonly texts: Texts;
  readonly version: string;
  readonly time: Date;
  readonly folder: string;
}

/** Writes mongotap_VERSION-1_ARCH.deb and mongotap-VERSION-1.ARCH.rpm into `folder`. */
export function writePackages({ target, binary, texts, version, time, folder }: PackageOptions): void {
  const scratch = mkdtempSync(join(tmpdir(), "mongotap-packages-"));
  try {
    mkdirSync(folder, { recursive: true });
    for (const format of FORMATS) {
      const path = join(scratch, `${format}.json`);
      const contents = contentsOf(scratch, binary, texts, format);
      writeFileSync(path, JSON.stringify({ ...headOf(target, version, time, glibcOf(binary)), contents }));
      const env = { ...process.env, SOURCE_DATE_EPOCH: String(time.getTime() / 1000) };
      const args = ["package", "--config", path, "--packager", format, "--target", folder];
      execFileSync(goTool("nfpm"), args, { env, stdio: ["ignore", "ignore", "pipe"] });
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function headOf(target: Target, version: string, time: Date, glibc: string): Record<string, unknown> {
  return {
    name: "mongotap",
    arch: target.format.cpu === "x64" ? "amd64" : "arm64",
    platform: "linux",
    version,
    release: 1,
    section: "database",
    maintainer: "mongotap <mongotap@example.com>",
    description: "Copies MongoDB collections, and their changes as they happen, into NDJSON.",
    license: "Apache-2.0",
    mtime: time.toISOString(),
    umask: 0o022,
    depends: [],
    overrides: {
      deb: { depends: [`libc6 (>= ${glibc})`] },
      rpm: { depends: [`glibc >= ${glibc}`] },
    },
    rpm: { group: "Applications/Databases", compression: "gzip:9", buildhost: "localhost" },
    deb: { compression: "gzip" },
    scripts: { postinstall: join(FILES, "postinstall.sh") },
  };
}

interface Content {
  readonly dst: string;
  readonly src?: string;
  readonly type?: "dir" | "symlink";
  readonly file_info?: { readonly mode: number };
}

function contentsOf(scratch: string, binary: string, texts: Texts, format: Format): Content[] {
  let count = 0;
  const file = (dst: string, content: string | Uint8Array): Content => {
    const src = join(scratch, `${format}-${count++}`);
    writeFileSync(src, content);
    return { dst, src, file_info: { mode: 0o644 } };
  };
  const shipped = (name: string): string => readFileSync(join(FILES, name), "utf8");
  const zsh = format === "deb" ? "vendor-completions" : "site-functions";
  return [
    { dst: "/usr/bin/mongotap", src: binary, file_info: { mode: 0o755 } },
    { dst: "/usr/bin/source-mongotap", src: "mongotap", type: "symlink" },
    { dst: "/usr/bin/tap-mongotap", src: "mongotap", type: "symlink" },
    { dst: "/etc/mongotap", type: "dir", file_info: { mode: 0o755 } },
    file("/usr/lib/systemd/system/mongotap@.service", shipped("mongotap@.service")),
    file("/usr/lib/sysusers.d/mongotap.conf", shipped("sysusers.conf")),
    file("/usr/share/man/man1/mongotap.1.gz", gzip(Buffer.from(texts.manual))),
    file("/usr/share/bash-completion/completions/mongotap", texts.bash),
    file(`/usr/share/zsh/${zsh}/_mongotap`, texts.zsh),
    file("/usr/share/fish/vendor_completions.d/mongotap.fish", texts.fish),
    file("/usr/share/doc/mongotap/README.md", texts.readme),
    file("/usr/share/doc/mongotap/copyright", `${texts.license}\n${texts.notices}`),
  ];
}

/** The oldest glibc that has all symbols which the binary imports. */
function glibcOf(binary: string): string {
  const text = readFileSync(binary).toString("latin1");
  const minors = [...text.matchAll(/\0GLIBC_2\.(\d{1,2})(?:\.\d+)?(?=\0)/g)].map(([, minor]) => Number(minor));
  if (minors.length === 0) throw new Error(`${binary} does not name the glibc that it needs`);
  return `2.${Math.max(...minors)}`;
}
