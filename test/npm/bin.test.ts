/** The script that `npx mongotap` starts behaves as the binary does. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, writeFileSync } from "node:fs";
import type { TempDir } from "../support/temp.ts";
import { openPipe } from "../cli/pipe.ts";
import { install, PACKAGE, runScript, RUNTIMES } from "./installation.ts";

/** The first argument says what this binary does. */
const BINARY = `
case "$1" in
  arguments) shift; for word; do printf '<%s>' "$word"; done; exit 7 ;;
  kill) kill -"$2" $$; sleep 60 ;;
  signals)
    caught() { echo "$1"; exit 3; }
    for name in INT TERM HUP; do trap "caught $name" "$name"; done
    echo ready
    while :; do sleep 0.02; done ;;
  streams)
    [ /dev/stdin -ef "$2" ] && [ /dev/stdout -ef "$3" ] && cat ;;
esac
`;

let dir: TempDir;
beforeAll(async () => {
  dir = await install(BINARY);
});
afterAll(async () => {
  await dir[Symbol.asyncDispose]();
});

const script = (): string => dir.join("node_modules/mongotap/lib/bin.js");

describe.each(["node", "bun"] as const)("bin.js under %s", (runtime) => {
  test("passes arguments on as they are, and ends with the exit code of the binary", async () => {
    const { code, output } = await runScript(dir, runtime, ["arguments", "a b", "", "$HOME", "*", "--help"]).done;
    expect({ code, output }).toEqual({ code: 7, output: "<a b><><$HOME><*><--help>" });
  });

  test.each(["TERM", "KILL", "INT"])("dies by the signal that ended the binary: SIG%s", async (name) => {
    expect(await runScript(dir, runtime, ["kill", name]).done).toMatchObject({ code: null, signal: `SIG${name}` });
  });

  test.each(["INT", "TERM", "HUP"] as const)("forwards SIG%s, and waits for the end of the binary", async (name) => {
    const { child, first, done } = runScript(dir, runtime, ["signals"]);
    expect(await first).toBe("ready\n");
    child.kill(`SIG${name}`);
    expect(await done).toMatchObject({ code: 3, output: `ready\n${name}\n` });
  });

  test("gives the binary its own standard input and output, not copies through pipes", () => {
    const [input, output] = [dir.join(`in-${runtime}`), dir.join(`out-${runtime}`)];
    writeFileSync(input, "from a file\n");
    const stdio = [openSync(input, "r"), openSync(output, "w"), "inherit"] as const;
    const { status } = spawnSync(RUNTIMES[runtime], [script(), "streams", input, output], { stdio: [...stdio] });
    for (const descriptor of stdio.slice(0, 2)) closeSync(Number(descriptor));
    expect({ status, text: readFileSync(output, "utf8") }).toEqual({ status: 0, text: "from a file\n" });
  });

  test("leaves a pipe blocking", async () => {
    await using pipe = await openPipe();
    spawnSync(RUNTIMES[runtime], [script(), "arguments"], { stdio: ["ignore", pipe.writer, "inherit"] });
    // The flag belongs to the open pipe, which this process shares.
    const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${pipe.writer}`, "utf8"))?.[1] ?? "";
    expect(Number.parseInt(flags, 8) & (constants.O_NONBLOCK | constants.O_WRONLY)).toBe(constants.O_WRONLY);
  });

  test("says in one line which package is missing, and ends with 127", async () => {
    await using empty = await install(undefined);
    const { code, output } = await runScript(empty, runtime).done;
    expect(code).toBe(127);
    expect(output).toMatch(new RegExp(`^mongotap: the package ${PACKAGE} is not installed: [^\n]*\n$`));
  });
});
