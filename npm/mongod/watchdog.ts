/**
 * Kills guarded processes and removes guarded folders when this process ends, even by `kill -9`: a small shell holds the
 * other end of a pipe and cleans up when the pipe closes.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

// One file for each guarded thing, because creating and removing a file is synchronous: no message can be lost in
// a buffer when the process dies. A pid in the list cannot be reused yet: this process was alive a moment ago and had
// not reaped its child.
// The shell forks and exits, so that its child has no parent here: a test runner that kills all descendants does not
// find it. The pipe is not stdin, which our side closes as soon as the first shell has exited.
const CLEAN_UP = `
watch() {
  trap '' INT TERM HUP
  cat <&3
  for f in "$1"/pid-*; do [ -e "$f" ] && kill -9 "\${f##*-}"; done
  for f in "$1"/dir-*; do
    [ -e "$f" ] || continue
    d=$(cat "$f") tries=0
    until rm -rf -- "$d" && [ ! -e "$d" ]; do
      tries=$((tries + 1)); [ "$tries" -gt 50 ] && break
      sleep 0.1
    done
  done
  rm -rf -- "$1"
}
watch "$1" >/dev/null 2>&1 &
`;

/** Ends the protection of one process or folder. Safe to call twice. */
export type Release = () => void;

interface Watchdog {
  readonly folder: string;
  /** Our end. A reference, because garbage collection would close it. */
  readonly pipe: Readable | Writable | null | undefined;
}

let watchdog: Watchdog | undefined;
let guarded = 0;

function startWatchdog(): Watchdog {
  const folder = mkdtempSync(join(tmpdir(), "mongotap-guard-"));
  const shell = spawn("/bin/sh", ["-c", CLEAN_UP, "mongotap-watchdog", folder], {
    // Its own session: Ctrl-C at the terminal must not end it before it has cleaned up.
    detached: true,
    cwd: "/",
    // It needs cat, rm and sleep, also where a test has changed the PATH: without them it would clean up at once.
    env: { PATH: `/usr/bin:/bin:${process.env["PATH"] ?? ""}` },
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  shell.unref();
  const pipe = shell.stdio[3];
  if (pipe instanceof Socket) pipe.unref();
  return { folder, pipe };
}

function guard(name: string, content: string): Release {
  if (process.platform === "win32") return () => undefined; // no shell there
  watchdog ??= startWatchdog();
  const file = join(watchdog.folder, name);
  writeFileSync(file, content);
  return () => rmSync(file, { force: true });
}

/** Kills `pid` (SIGKILL) when this process ends, unless released: release it as soon as it is known to have ended. */
export function guardProcess(pid: number): Release {
  return guard(`pid-${pid}`, "");
}

/** Removes the folder `path` when this process ends, after the guarded processes were killed, unless released. */
export function guardFolder(path: string): Release {
  guarded += 1;
  return guard(`dir-${guarded}`, path);
}
