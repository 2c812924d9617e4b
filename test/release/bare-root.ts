/**
 * Runs a program in a root file system of its own, as a container runtime does: with /proc, the usual devices, and nothing
 * else of this machine but its network.
 */

import { spawnSync } from "node:child_process";
import { cpSync, lstatSync, mkdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { debianPackages } from "../../scripts/image/debian.ts";
import { librariesOf } from "../../scripts/image/root.ts";
import { tool } from "./tools.ts";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  /** What the program reads from standard input. */
  readonly input?: string;
  /** Who runs it; default: root. */
  readonly user?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** The mounts end with the program, because they are in a namespace of its own. */
const SCRIPT = `
set -e
root=$1 user=$2
shift 2
mkdir -p "$root/proc" "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero random urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
exec chroot --userspec="$user:$user" "$root" "$@"
`;

export function runIn(
  root: string,
  argv: readonly string[],
  { user = 0, env = {}, input = "" }: RunOptions = {},
): Outcome {
  const own = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  const args = [...own, "--mount", "--pid", "--fork", "sh", "-c", SCRIPT, "sh", root, String(user), ...argv];
  const environment = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...env };
  const { status, stdout, stderr, error } = spawnSync("unshare", args, { env: environment, encoding: "utf8", input });
  if (error !== undefined) throw error;
  return { code: status, stdout, stderr };
}

/** A root file system with the libraries of glibc and /tmp: the least that any distribution has. */
export function makeBareRoot(root: string): void {
  const package_ = debianPackages("amd64").find(({ name }) => name === "libc6");
  if (package_ === undefined) throw new Error("there is no libc6");
  const folder = "lib/x86_64-linux-gnu";
  for (const name of librariesOf("amd64")) cpSync(join(package_.folder, folder, name), join(root, folder, name));
  cpSync(join(root, folder, "ld-linux-x86-64.so.2"), join(root, "lib64/ld-linux-x86-64.so.2"));
  mkdirSync(join(root, "tmp"), { mode: 0o777 });
}

let debian: string | undefined;

/** The smallest Debian that mmdebstrap makes. */
export function makeDebian(root: string): void {
  if (debian === undefined) {
    debian = `${root}.tar`;
    tool("mmdebstrap", ["--quiet", "--variant=minbase", "bookworm", debian]);
  }
  mkdirSync(root);
  tool("tar", ["-xf", debian, "--exclude=./dev/*", "-C", root]);
}

/** Where the link at `path` leads. Throws if it is none. */
export function targetOf(path: string): string {
  if (!lstatSync(path).isSymbolicLink()) throw new Error(`${path} is no link`);
  return readlinkSync(path);
}
