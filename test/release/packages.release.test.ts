/**
 * What is installed from a release works: the archive, the package for Debian, the one for Red Hat. By default both are made
 * here, of dist/mongotap, and installed where nothing but glibc is. With the folder of a release in MONGOTAP_RELEASE it is that
 * release, installed in Debian by dpkg and rpm as a user would (scripts/release-check.ts).
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { targetHere, versionOf } from "../../scripts/build/binaries.ts";
import { programOf } from "../../scripts/build/bundle.ts";
import { revisionOf } from "../../scripts/build/revision.ts";
import { archive, archiveName } from "../../scripts/release/archives.ts";
import { writePackages } from "../../scripts/release/packages.ts";
import { textsOf } from "../../scripts/release/texts.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { expectBackfill } from "./backfill.ts";
import { makeBareRoot, makeDebian, runIn, targetOf } from "./bare-root.ts";
import { tool } from "./tools.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const GIVEN = process.env["MONGOTAP_RELEASE"];
const VERSION = versionOf(ROOT);
const ARCHIVE = archiveName(VERSION, targetHere());
const { commit, time } = revisionOf(ROOT);
const SAYS = `mongotap ${VERSION} (${GIVEN === undefined ? commit : commit.replace("-dirty", "")}, ${targetHere().name}, Bun ${Bun.version})\n`;

let folder: TempDir;
let release: string;

beforeAll(async () => {
  folder = await tempDir();
  release = GIVEN ?? (await makeRelease(folder.join("release")));
  const makeRoot = GIVEN === undefined ? makeBareRoot : makeDebian;
  for (const name of ["archive", "deb", "rpm"]) makeRoot(folder.join(name));
  mkdirSync(folder.join("archive/opt"), { recursive: true });
  tool("tar", ["-xzf", join(release, ARCHIVE), "-C", folder.join("archive/opt")]);
  if (GIVEN === undefined) unpack();
  else install();
}, 600_000);

afterAll(async () => await folder[Symbol.asyncDispose]());

async function makeRelease(place: string): Promise<string> {
  const { notices } = await programOf(ROOT);
  const common = { target: targetHere(), binary: join(ROOT, "dist/mongotap"), version: VERSION, time };
  const options = { ...common, texts: textsOf(ROOT, notices, VERSION, time) };
  mkdirSync(place);
  writeFileSync(join(place, ARCHIVE), await archive(options));
  writePackages({ ...options, folder: place });
  return place;
}

/** The package for this processor. */
function packageOf(ending: ".deb" | ".rpm"): string {
  const name = readdirSync(release).find((one) => /amd64|x86_64/.test(one) && one.endsWith(ending));
  if (name === undefined) throw new Error(`the release has no ${ending}`);
  return join(release, name);
}

/** dpkg checks what the package depends on, and runs its script outside, because there is no shell inside. */
function unpack(): void {
  const [deb, rpm] = [folder.join("deb"), folder.join("rpm")];
  for (const name of ["info", "updates", "triggers"]) mkdirSync(join(deb, "var/lib/dpkg", name), { recursive: true });
  const libc = [
    "Package: libc6",
    "Status: install ok installed",
    "Architecture: amd64",
    "Maintainer: x",
    "Version: 2.36",
    "Description: x",
  ];
  writeFileSync(join(deb, "var/lib/dpkg/status"), `${libc.join("\n")}\n\n`);
  tool("dpkg", ["--root", deb, "--force-script-chrootless", "--log=/dev/null", "--install", packageOf(".deb")]);
  // The paths in the package begin with a slash.
  const extract = 'cd "$0" && rpm2cpio "$1" | cpio --quiet --no-absolute-filenames -idm 2>&1';
  tool("sh", ["-c", extract, rpm, packageOf(".rpm")]);
}

function install(): void {
  cpSync(packageOf(".deb"), folder.join("deb/tmp/mongotap.deb"));
  expect(runIn(folder.join("deb"), ["dpkg", "--install", "/tmp/mongotap.deb"])).toMatchObject({ code: 0, stderr: "" });
  // Debian has no list of its packages for rpm, so nothing in it would satisfy what the package needs.
  tool("rpm", ["--root", folder.join("rpm"), "--force-debian", "--nodeps", "--install", packageOf(".rpm")]);
}

const PACKAGES = ["deb", "rpm"] as const;

test("the archive runs where it is unpacked", async () => {
  const program = `/opt/${ARCHIVE.replace(".tar.gz", "")}/mongotap`;
  expect(runIn(folder.join("archive"), [program, "--version"])).toEqual({ code: 0, stdout: SAYS, stderr: "" });
  await expectBackfill((args, env) => runIn(folder.join("archive"), [program, ...args], { env }));
}, 60_000);

describe.each(PACKAGES)("the %s", (format) => {
  const root = (): string => folder.join(format);

  test("puts a program into the PATH that copies a collection", async () => {
    expect(runIn(root(), ["mongotap", "--version"])).toEqual({ code: 0, stdout: SAYS, stderr: "" });
    await expectBackfill((args, env) => runIn(root(), ["mongotap", ...args], { user: 1000, env }));
  }, 60_000);

  test("has the links that choose a protocol", () => {
    const links = ["source-mongotap", "tap-mongotap"].map((name) => targetOf(join(root(), "usr/bin", name)));
    expect(links).toEqual(["mongotap", "mongotap"]);
  });

  test("has a manual page that man shows without a warning", () => {
    const page = join(root(), "usr/share/man/man1/mongotap.1.gz");
    const run = Bun.spawnSync(["man", "--warnings", "--local-file", page], {
      env: { ...process.env, MANWIDTH: "100" },
    });
    expect(run.stderr.toString()).toBe("");
    expect(run.stdout.toString()).toContain("--on-history-lost");
  });

  test("has the completion of bash, zsh and fish", () => {
    const zsh = format === "deb" ? "vendor-completions" : "site-functions";
    expect(bashCompletes(join(root(), "usr/share/bash-completion/completions/mongotap"), "mongotap back")).toEqual([
      "backfill",
    ]);
    expect(zshLoads(join(root(), "usr/share/zsh", zsh))).toBe("mongotap: _mongotap\n");
    expect(fishCompletes(join(root(), "usr/share/fish/vendor_completions.d/mongotap.fish"), "mongotap back")).toEqual([
      "backfill",
    ]);
  });

  test("has a unit that systemd understands and finds well protected", () => {
    const unit = folder.join(`mongotap@${format}.service`);
    cpSync(join(root(), "usr/lib/systemd/system/mongotap@.service"), unit);
    // Elsewhere, the program of the unit is not on this machine.
    writeFileSync(unit, readFileSync(unit, "utf8").replace("ExecStart=/usr/bin/mongotap", "ExecStart=/bin/true"));
    const verified = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", unit]);
    expect({ code: verified.exitCode, said: verified.stderr.toString() }).toEqual({ code: 0, said: "" });
    const scored = Bun.spawnSync(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit]);
    expect(scored.exitCode).toBe(0);
  });

  test("has the user of the unit, and the folder of its settings", () => {
    expect(readFileSync(join(root(), "usr/lib/sysusers.d/mongotap.conf"), "utf8")).toMatch(/^u mongotap /m);
    expect(statSync(join(root(), "etc/mongotap")).isDirectory()).toBe(true);
  });
});

/** What bash offers for a line whose last word is begun. */
function bashCompletes(script: string, line: string): string[] {
  const words = line.split(" ");
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const text = `source "$0"; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _mongotap; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return tool("bash", ["-c", text, script]).split("\n").slice(0, -1);
}

function fishCompletes(script: string, line: string): string[] {
  const text = `source '${script}'; complete -C '${line}'`;
  return tool("fish", ["--no-config", "-c", text])
    .split("\n")
    .slice(0, -1)
    .map((row) => row.split("\t")[0] ?? "");
}

/** Which function completes mongotap, once the system of completions has read a folder. */
function zshLoads(place: string): string {
  const text =
    'fpath=("$0" $fpath); autoload -U compinit && compinit -u -D && autoload +X _mongotap && print "mongotap: $_comps[mongotap]"';
  return tool("zsh", ["-f", "-c", text, place]);
}

test("the packages need the glibc that docs/install.md names", () => {
  const [, named] = /need glibc (\d+\.\d+) or newer/.exec(readFileSync(join(ROOT, "docs/install.md"), "utf8")) ?? [];
  expect(tool("dpkg-deb", ["--field", packageOf(".deb"), "Depends"])).toBe(`libc6 (>= ${named})\n`);
  expect(tool("rpm", ["--query", "--requires", "--package", packageOf(".rpm")])).toBe(`glibc >= ${named}\n`);
});

test("the manual page says which version it is of", () => {
  const page = gunzipSync(readFileSync(join(folder.join("deb"), "usr/share/man/man1/mongotap.1.gz"))).toString();
  expect(page).toContain(`"mongotap ${VERSION}"`);
});
