/** Runs a built binary in a folder with hostile settings and packages. */

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The most that `--help` may take: the best time of several runs, since the machine may be busy. */
const START_LIMIT_MS = 20;
const MEMORY_LIMIT_MB = 50;
const RUNS = 20;

/** Packages that the binary loads, or would if it were built wrongly. Not imported from bundle.ts, which is under test. */
const PLANTED = [
  "cpu-features",
  "kerberos",
  "@mongodb-js/zstd",
  "@aws-sdk/credential-providers",
  "gcp-metadata",
  "snappy",
  "socks",
  "mongodb-client-encryption",
  "mongodb",
  "bson",
  "ssh2",
  "cac",
  "valibot",
  "picocolors",
];

/** A URI without a server. */
const UNREACHABLE = "mongodb://nobody:nothing@127.0.0.1:1/?serverSelectionTimeoutMS=200";

/** Command lines, and the exit code that each must have. */
const TRIALS: readonly (readonly [exitCode: number, ...args: string[]])[] = [
  [0, "--version"],
  [0, "--help"],
  [0, "--licenses"],
  [2, "no-such-command"],
  // Exits with 2 if the planted .env is read. Loads what mongodb loads when it starts.
  [4, "discover", "--uri", UNREACHABLE],
  // Loads ssh2, which looks for its native parts.
  [4, "discover", "--ssh", "ssh://nobody@127.0.0.1:1", "--ssh-host-key", `SHA256:${"A".repeat(43)}`],
  // Features of optional packages are refused; the packages are not loaded from the working directory.
  [10, "discover", "--uri", `${UNREACHABLE}&compressors=snappy`],
  [4, "discover", "--uri", UNREACHABLE, "--compressors", "zstd,zlib"],
  [10, "discover", "--uri", `${UNREACHABLE}&authMechanism=GSSAPI&authSource=$external`],
];

export interface Smoke {
  readonly startMs: number;
  readonly memoryMB: number;
}

/**
 * Runs `binary` in several ways and resolves with what `--help` takes. `version` is what `--version` must print.
 * @throws Error with everything that was wrong
 */
export async function smokeTest(binary: string, version: string): Promise<Smoke> {
  const folder = mkdtempSync(join(tmpdir(), "mongotap-smoke-"));
  try {
    plant(folder);
    const wrong = TRIALS.flatMap(([exitCode, ...args]) => {
      const run = start(binary, args, folder);
      return run.exitCode === exitCode
        ? []
        : [`${args.join(" ")}: exit code ${run.exitCode}, not ${exitCode}: ${run.stderr.toString().trim()}`];
    });
    const said = start(binary, ["--version"], folder).stdout.toString();
    if (said !== version) wrong.push(`--version prints ${JSON.stringify(said)}, not ${JSON.stringify(version)}`);
    const loaded = readdirSync(folder).filter((name) => name.startsWith("loaded-"));
    if (loaded.length > 0) wrong.push(`code from the current folder ran: ${loaded.join(", ")}`);
    const cost = await measure(binary, folder);
    if (cost.startMs > START_LIMIT_MS) wrong.push(`--help takes ${cost.startMs.toFixed(1)} ms`);
    if (cost.memoryMB > MEMORY_LIMIT_MB) wrong.push(`--help takes ${cost.memoryMB.toFixed(0)} MB`);
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
    return cost;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function start(binary: string, args: readonly string[], cwd: string): Bun.SyncSubprocess<"pipe", "pipe"> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: cwd, SSH_AUTH_SOCK: join(cwd, "agent") };
  return Bun.spawnSync([binary, ...args], { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

/** Writes settings and packages, each of which creates a file `loaded-…` when it is used. */
function plant(folder: string): void {
  const trap = (name: string): string => {
    const mark = JSON.stringify(join(folder, `loaded-${name.replaceAll(/[^\w-]/g, "-")}`));
    return `require("node:fs").writeFileSync(${mark}, "");\n`;
  };
  writeFileSync(join(folder, ".env"), `MONGOTAP_LOG_LEVEL=planted\nBUN_OPTIONS=--preload=./preload.cjs\n`);
  writeFileSync(join(folder, "bunfig.toml"), `preload = ["./preload.cjs"]\n`);
  writeFileSync(join(folder, "preload.cjs"), trap("preload"));
  writeFileSync(join(folder, "package.json"), `{"name": "planted", "imports": {"#x": "./preload.cjs"}}\n`);
  writeFileSync(join(folder, "tsconfig.json"), `{"compilerOptions": {"paths": {"*": ["./preload.cjs"]}}}\n`);
  for (const name of PLANTED) {
    const place = join(folder, "node_modules", name);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, "package.json"), JSON.stringify({ name, version: "1.0.0", main: "index.js" }));
    writeFileSync(join(place, "index.js"), trap(name));
  }
}

async function measure(binary: string, folder: string): Promise<Smoke> {
  let startMs = Number.POSITIVE_INFINITY;
  let memoryMB = 0;
  for (let run = 0; run < RUNS; run++) {
    const began = performance.now();
    const { resourceUsage } = start(binary, ["--help"], folder);
    // On a busy machine the elapsed time includes other programs; the processor time does not.
    startMs = Math.min(startMs, performance.now() - began, Number(resourceUsage.cpuTime.total) / 1000);
    memoryMB = Math.max(memoryMB, await peakMemory(binary, folder));
  }
  return { startMs, memoryMB };
}

/**
 * The peak resident memory of `--help` in MB; 0 without /proc. The usage that Linux reports for a child does not help: it
 * includes the memory of the parent that forked it.
 */
async function peakMemory(binary: string, folder: string): Promise<number> {
  if (process.platform !== "linux") return 0;
  const child = Bun.spawn([binary, "--help"], { cwd: folder, stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  let peak = 0;
  for (;;) {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    const kilobytes = /^VmHWM:\s*(\d+) kB/m.exec(status)?.[1];
    if (kilobytes === undefined) break; // it has exited and is a zombie
    if (/^Name:\s*mongotap/m.test(status)) peak = Math.max(peak, Number(kilobytes) / 1000);
  }
  await child.exited;
  return peak;
}
