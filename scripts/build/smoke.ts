/** Tries a built binary the way a stranger starts it, in a folder that wants to do harm. */

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What `--help` may cost at most: the best of several runs, since the machine may be busy. */
const START_LIMIT_MS = 20;
const MEMORY_LIMIT_MB = 50;
const RUNS = 20;

/** Packages that something in the binary asks for, or would if it were built wrongly; not taken from the build itself. */
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

/** A server that is not there. */
const NOWHERE = "mongodb://nobody:nothing@127.0.0.1:1/?serverSelectionTimeoutMS=200";

/** Command lines, and the exit code that each must have. */
const TRIALS: readonly (readonly [exitCode: number, ...args: string[]])[] = [
  [0, "--version"],
  [0, "--help"],
  [2, "no-such-command"],
  // Ends with 2 where the planted .env is read, and loads what mongodb asks for at its start.
  [4, "discover", "--uri", NOWHERE],
  // Loads ssh2, which looks for its native parts.
  [4, "discover", "--ssh", "ssh://nobody@127.0.0.1:1", "--ssh-host-key", `SHA256:${"A".repeat(43)}`],
  // What optional packages would bring is refused, and not looked for in the current folder.
  [10, "discover", "--uri", `${NOWHERE}&compressors=snappy`],
  [4, "discover", "--uri", NOWHERE, "--compressors", "zstd,zlib"],
  [10, "discover", "--uri", `${NOWHERE}&authMechanism=GSSAPI&authSource=$external`],
];

export interface Smoke {
  readonly startMs: number;
  readonly memoryMB: number;
}

/** Runs `binary` in several ways and returns what `--help` costs; throws with all that was wrong. */
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
    if (!said.includes(version)) wrong.push(`--version says ${JSON.stringify(said)}, not ${version}`);
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

/** Settings and packages that leave a file `loaded-…` behind when something of them is used. */
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
    // On a busy machine the clock tells of others; the processor time tells of this program only.
    startMs = Math.min(startMs, performance.now() - began, Number(resourceUsage.cpuTime.total) / 1000);
    memoryMB = Math.max(memoryMB, await peakMemory(binary, folder));
  }
  return { startMs, memoryMB };
}

/**
 * The most memory that `--help` holds, in MB; 0 where there is no /proc. The usage that the system reports for a child
 * would not do: on Linux it begins with the memory of the parent that started it.
 */
async function peakMemory(binary: string, folder: string): Promise<number> {
  if (process.platform !== "linux") return 0;
  const child = Bun.spawn([binary, "--help"], { cwd: folder, stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  let peak = 0;
  for (;;) {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    const kilobytes = /^VmHWM:\s*(\d+) kB/m.exec(status)?.[1];
    if (kilobytes === undefined) break; // It has ended, and waits to be collected below.
    if (/^Name:\s*mongotap/m.test(status)) peak = Math.max(peak, Number(kilobytes) / 1000);
  }
  await child.exited;
  return peak;
}
