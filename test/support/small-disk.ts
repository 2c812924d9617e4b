/** A small disk that fills up soon. Needs the right to mount. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

export function runShell(script: string): { status: number | null; signal: string | null; stderr: string } {
  return spawnSync("bash", ["-c", script], { cwd: ROOT, encoding: "utf8" });
}

export function canMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), "mongotap-mount-"));
  const mounted = runShell(`mount -t tmpfs -o size=64k none '${path}' && umount '${path}'`);
  rmdirSync(path);
  return mounted.status === 0;
}

/** Mounts one of `size` (`128k`) at `path`, which does not exist yet. */
export function smallDisk(path: string, size: string): Disposable & { resize(size: string): void; fill(): void } {
  mkdirSync(path);
  runShell(`mount -t tmpfs -o size=${size} none '${path}'`);
  return {
    resize: (to) => void runShell(`mount -o remount,size=${to} '${path}'`),
    fill() {
      writeFileSync(`${path}/filler`, "");
      runShell(`cat /dev/zero > '${path}/filler'`);
    },
    [Symbol.dispose]: () => void runShell(`umount '${path}'`),
  };
}
