/**
 * The root file system of the image, in layers: what the program needs from a system, the program, and in a second image a
 * shell. Bun for musl needs a C++ library built with musl, which Debian does not have: so the image has Bun
 * for glibc, and the four libraries that it asks for.
 */

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Entry } from "../lib/tar.ts";
import type { Architecture, DebianPackage } from "./debian.ts";

/** Anybody but root; the number is that of other images without a shell. */
export const USER = 65532;

export const HOME = "/home/nonroot";
export const PROGRAM = "/usr/local/bin/mongotap";
export const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/** Links that choose a protocol by the name under which the program is called. */
const LINKS = ["source-mongotap", "tap-mongotap"];

/** Names under which busybox is a shell and the programs that scripts around a connector use. */
const APPLETS =
  "sh cat cp date echo env find grep head ls mkdir mkfifo mv ps rm sleep sort tail tee test touch wc".split(" ");

/** What `readelf -d` says that Bun needs. */
const LIBRARIES = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"];

const LOADER: Readonly<
  Record<Architecture, { readonly path: string; readonly folder: string; readonly name: string }>
> = {
  amd64: { path: "lib64/ld-linux-x86-64.so.2", folder: "lib/x86_64-linux-gnu", name: "ld-linux-x86-64.so.2" },
  arm64: { path: "lib/ld-linux-aarch64.so.1", folder: "lib/aarch64-linux-gnu", name: "ld-linux-aarch64.so.1" },
};

/** Where the loader of `architecture` and the libraries are, for a look at what the binary needs. */
export function librariesOf(architecture: Architecture): readonly string[] {
  return [...LIBRARIES, LOADER[architecture].name];
}

export function systemLayer(architecture: Architecture, packages: readonly DebianPackage[]): Entry[] {
  return [
    ...accounts(),
    text("etc/nsswitch.conf", "hosts: files dns\n"),
    text("etc/os-release", 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="mongotap, with libraries of Debian 12"\n'),
    text(CERTIFICATES.slice(1), certificates(folderOf("ca-certificates", packages))),
    ...libraries(architecture, folderOf("libc6", packages)),
    ...["libc6", "ca-certificates"].flatMap((name) => origin(found(name, packages))),
    { type: "directory", path: "tmp", mode: 0o1777 },
    { type: "directory", path: HOME.slice(1), mode: 0o755, owner: USER },
  ];
}

export function programLayer(binary: string, license: string): Entry[] {
  const folder = PROGRAM.slice(1, PROGRAM.lastIndexOf("/"));
  return [
    { type: "file", path: PROGRAM.slice(1), mode: 0o755, content: readFileSync(binary) },
    ...LINKS.map((name): Entry => ({ type: "symlink", path: `${folder}/${name}`, target: "mongotap" })),
    text("usr/share/doc/mongotap/LICENSE", readFileSync(license, "utf8")),
  ];
}

/** For runners that start a connector by a shell, and for a look around. */
export function shellLayer(packages: readonly DebianPackage[]): Entry[] {
  const busybox = readFileSync(join(folderOf("busybox-static", packages), "bin/busybox"));
  return [
    { type: "file", path: "bin/busybox", mode: 0o755, content: busybox },
    ...APPLETS.map((name): Entry => ({ type: "symlink", path: `bin/${name}`, target: "busybox" })),
    ...origin(found("busybox-static", packages)),
  ];
}

function text(path: string, content: string): Entry {
  return { type: "file", path, mode: 0o644, content };
}

function accounts(): Entry[] {
  return [
    text(
      "etc/passwd",
      `root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:${USER}:${USER}:nonroot:${HOME}:/sbin/nologin\n`,
    ),
    text("etc/group", `root:x:0:\nnonroot:x:${USER}:\n`),
  ];
}

/** Mozilla's list, one certificate after the other, as update-ca-certificates would write it. */
function certificates(folder: string): string {
  const place = join(folder, "usr/share/ca-certificates/mozilla");
  const files = readdirSync(place)
    .filter((name) => name.endsWith(".crt"))
    .toSorted();
  if (files.length < 100) throw new Error(`ca-certificates has ${files.length} certificates`);
  return files.map((name) => `${readFileSync(join(place, name), "utf8").trimEnd()}\n`).join("");
}

function libraries(architecture: Architecture, package_: string): Entry[] {
  const { path, folder, name } = LOADER[architecture];
  const files = LIBRARIES.map((library): Entry => {
    const content = readFileSync(join(package_, folder, library));
    return { type: "file", path: `${folder}/${library}`, mode: 0o644, content };
  });
  const loader = readFileSync(join(package_, folder, name));
  return [
    ...files,
    { type: "file", path: `${folder}/${name}`, mode: 0o755, content: loader },
    { type: "symlink", path, target: `/${folder}/${name}` },
  ];
}

/** The license of a package, and the entry by which scanners know its version. */
function origin({ name, control, folder }: DebianPackage): Entry[] {
  return [
    text(`usr/share/doc/${name}/copyright`, readFileSync(copyrightOf(folder, name), "utf8")),
    text(`var/lib/dpkg/status.d/${name}`, control),
  ];
}

function copyrightOf(folder: string, name: string): string {
  const path = join(folder, "usr/share/doc", name, "copyright");
  if (!existsSync(path) || !statSync(path).isFile()) throw new Error(`${name} has no file with its copyright`);
  return path;
}

function folderOf(name: string, packages: readonly DebianPackage[]): string {
  return found(name, packages).folder;
}

function found(name: string, packages: readonly DebianPackage[]): DebianPackage {
  const one = packages.find((package_) => package_.name === name);
  if (one === undefined) throw new Error(`the image needs ${name}`);
  return one;
}
