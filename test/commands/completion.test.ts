/** The completion of command lines, as bash, which every machine has, does it. test/release/ has the other shells. */

import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { COMMANDS } from "../../src/cli.ts";
import { completionScript, SHELLS } from "../../src/commands/completion.ts";
import { OPTIONS } from "../../src/config/options.ts";
import type { OptionRow } from "../../src/config/setting.ts";
import { errorOf } from "../cli/in-process.ts";

/** What bash offers for the last of `words`, which it has split itself: `--format=x` is three words. */
function offers(...words: string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(" ");
  const text = `${completionScript(COMMANDS, "bash")}
COMP_WORDS=(mongotap ${line}); COMP_CWORD=${words.length}; _mongotap; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["--norc", "-c", text], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    .split("\n")
    .filter((word) => word !== "");
}

test("the first word is a command, or what mongotap says about itself", () => {
  expect(offers("")).toEqual([...Object.keys(COMMANDS), "completion", "help", "--help", "--version", "--licenses"]);
  expect(offers("st")).toEqual(["status"]);
});

test("a command is followed by its own options, and not by those of others", () => {
  for (const [name, { options }] of Object.entries(COMMANDS)) {
    const rows = options.map((option): OptionRow => OPTIONS[option]).filter((row) => row.flagless !== true);
    expect(offers(name, "--")).toEqual([...rows.map(({ flag }) => `--${flag}`), "--help"]);
  }
});

test("an option with a choice is followed by its words, also behind =", () => {
  expect(offers("backfill", "a.b", "--format", "")).toEqual(["relaxed", "canonical", "plain"]);
  expect(offers("backfill", "a.b", "--format", "ca")).toEqual(["canonical"]);
  expect(offers("backfill", "a.b", "--format", "=")).toEqual(["relaxed", "canonical", "plain"]);
  expect(offers("backfill", "a.b", "--format", "=", "ca")).toEqual(["canonical"]);
  expect(offers("check", "--as", "")).toEqual(["table", "json"]);
});

test("an option with a file or a text is followed by no word of ours", () => {
  expect(offers("backfill", "--out", "")).toEqual([]);
  expect(offers("backfill", "--uri", "")).toEqual([]);
});

test("help and completion are followed by commands and shells", () => {
  expect(offers("help", "ca")).toEqual(["capture"]);
  expect(offers("completion", "")).toEqual([...SHELLS]);
});

test("no text of an option ends a string of zsh or fish too early", () => {
  const tricky = { ...COMMANDS.status, text: "it's a [state]: $HOME, `x`" };
  const zsh = completionScript({ status: tricky }, "zsh");
  const fish = completionScript({ status: tricky }, "fish");
  expect(zsh).toContain(`'status:it'"'"'s a [state]: $HOME, \`x\`'`);
  expect(fish).toContain(`-d 'it'"'"'s a [state]: $HOME, \`x\`'`);
});

test("completion refuses what is no shell", async () => {
  for (const args of [[], ["tcsh"], ["bash", "zsh"]]) {
    expect(await errorOf(["completion", ...args])).toMatchObject({
      kind: "usage",
      message: "completion takes the name of a shell: bash, zsh, fish",
    });
  }
});
