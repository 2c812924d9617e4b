/**
 * The packages of Debian that the image takes files from. apt fetches them and checks the signatures of the archive; packages.json
 * has their versions and digests. `bun scripts/image/debian.ts` writes packages.json anew, with what the archive has now.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const LOCK = join(import.meta.dirname, "packages.json");
const CACHE = join(ROOT, ".cache/debian");

/** The processor as Debian calls it. */
export type Architecture = "amd64" | "arm64";

const WANTED = [
  "libc6:amd64",
  "libc6:arm64",
  "ca-certificates:all",
  "busybox-static:amd64",
  "busybox-static:arm64",
] as const;
type Wanted = (typeof WANTED)[number];

type Lock = Readonly<Record<Wanted, Locked>>;

interface Locked {
  readonly version: string;
  readonly sha256: string;
}

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** The lines of its control file, as in /var/lib/dpkg/status. */
  readonly control: string;
  /** Where it is unpacked. */
  readonly folder: string;
}

/** `locked`: as in packages.json. `newest`: what the archive has, for a try that is not a release. */
export type Choice = "locked" | "newest";

/**
 * Fetches the packages that an image for `architecture` needs, if they are not in the cache, and unpacks them.
 * @throws Error with one line if the archive no longer has a version, or is not to be reached
 */
export function debianPackages(architecture: Architecture, choice: Choice = "locked"): DebianPackage[] {
  const lock = choice === "locked" ? (JSON.parse(readFileSync(LOCK, "utf8")) as Lock) : undefined;
  const wanted = WANTED.filter((one) => one.endsWith(`:${architecture}`) || one.endsWith(":all"));
  return wanted.map((one) => unpack(one, lock?.[one] ?? newest(one)));
}

function unpack(wanted: Wanted, locked: Locked): DebianPackage {
  const [name = ""] = wanted.split(":");
  const archive = archiveOf(wanted, locked.version);
  if (!existsSync(archive)) download(wanted, locked.version, archive);
  const digest = sha256(archive);
  if (digest !== locked.sha256)
    throw new Error(`${wanted} ${locked.version} has the digest ${digest}, not that of ${LOCK}`);
  const folder = archive.replace(/\.deb$/, "");
  if (!existsSync(folder)) {
    const scratch = mkdtempSync(join(CACHE, "unpack-"));
    execFileSync("dpkg-deb", ["--extract", archive, scratch]);
    renameSync(scratch, folder);
  }
  const fields = ["Package", "Version", "Architecture", "Maintainer", "Description"];
  const control = execFileSync("dpkg-deb", ["--field", archive, ...fields], { encoding: "utf8" });
  return { name, version: locked.version, control, folder };
}

function archiveOf(wanted: Wanted, version: string): string {
  return join(CACHE, `${wanted.replace(":", "_")}_${version.replaceAll(/[^\w.+~-]/g, "_")}.deb`);
}

function download(wanted: Wanted, version: string | undefined, path: string): void {
  mkdirSync(CACHE, { recursive: true });
  const scratch = mkdtempSync(join(CACHE, "fetch-"));
  try {
    const [name = ""] = wanted.split(":");
    const architecture = wanted.endsWith(":arm64") ? "arm64" : "amd64";
    apt(["download", version === undefined ? name : `${name}=${version}`], architecture, scratch);
    renameSync(join(scratch, readdirSync(scratch)[0] ?? ""), path);
  } catch (error) {
    const message = `Debian's archive does not give ${wanted} ${version ?? ""} (${lastLine(error)})`;
    throw new Error(`${message}: for newer packages run \`bun scripts/image/debian.ts\` on Debian 12`, {
      cause: error,
    });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const updated = new Set<Architecture>();

/** Runs apt-get for a processor, with the sources of this machine and with lists of its own. */
function apt(args: readonly string[], architecture: Architecture, cwd: string): void {
  const state = join(CACHE, `apt-${architecture}`);
  for (const folder of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(state, folder), { recursive: true });
  const settings = [
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    `Dir::State::Lists=${state}/lists`,
    `Dir::Cache=${state}/cache`,
    "Dir::State::Status=/dev/null",
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
  ].flatMap((setting) => ["-o", setting]);
  const run = (words: readonly string[]): void =>
    void execFileSync("apt-get", ["-q", ...settings, ...words], { cwd, stdio: "pipe" });
  if (!updated.has(architecture)) run(["update"]);
  updated.add(architecture);
  run(args);
}

function lastLine(error: unknown): string {
  const text = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
  return text.trim().split("\n").at(-1) ?? "";
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function newest(wanted: Wanted): Locked {
  mkdirSync(CACHE, { recursive: true });
  const path = join(CACHE, "newest.deb");
  download(wanted, undefined, path);
  const version = execFileSync("dpkg-deb", ["--field", path, "Version"], { encoding: "utf8" }).trim();
  renameSync(path, archiveOf(wanted, version));
  return { version, sha256: sha256(archiveOf(wanted, version)) };
}

function writeLock(): void {
  const lock = Object.fromEntries(WANTED.map((wanted) => [wanted, newest(wanted)]));
  writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`);
}

if (import.meta.main) writeLock();
