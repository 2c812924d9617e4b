/** Asks the program `sops` for what only it can open: cloud key services, PGP, SSH keys, key groups. */

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { MongotapError } from "../errors.ts";
import { codeOf } from "../lib/fs.ts";
import type { Environment } from "./reading.ts";
import { isEnvelope } from "./sops-cipher.ts";
import { parseTree, type TreeMap, type TreeNode } from "./tree.ts";

export interface ProgramSettings {
  readonly env: Environment;
  /** The document is the whole of this file; else it is a part of one, and handed over as a file of its own. */
  readonly wholeFile: string | undefined;
  /** Why we cannot do it ourselves. */
  readonly because: string;
}

const MINUTE_MS = 60_000;
const MOST_OUTPUT = 16 * 1024 * 1024;

/** What sops means by its exit codes (cmd/sops/codes). */
const WORDS: Readonly<Record<number, string>> = {
  25: "a value does not decrypt: it was changed, or moved",
  51: "its MAC does not fit: a value was changed, added or removed without sops",
  128: "no key for it could be had",
};

/** `document` in plain text, without its `sops` section. @throws MongotapError `config`; nothing that sops prints is quoted but why there is no key */
export async function decryptWithProgram(document: TreeMap, settings: ProgramSettings): Promise<TreeMap> {
  const { file } = document.place;
  if (settings.wholeFile !== undefined) {
    const type = settings.wholeFile.endsWith(".json") ? "json" : "yaml";
    return mark(document, parseTree(await runSops(settings.wholeFile, type, file, settings), file));
  }
  const folder = await mkdtemp(join(tmpdir(), "mongotap-sops-"));
  try {
    const path = join(folder, "part.yaml");
    await writeFile(path, jsonOf(document), { mode: 0o600 }); // as encrypted as it was
    return mark(document, parseTree(await runSops(path, "yaml", file, settings), file));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function runSops(path: string, type: string, file: string, { env, because }: ProgramSettings): Promise<string> {
  const args = ["--decrypt", "--input-type", type, "--output-type", type, path];
  const options = { env: { ...env }, timeout: MINUTE_MS, maxBuffer: MOST_OUTPUT, encoding: "utf8" } as const;
  return new Promise((resolve, reject) => {
    execFile("sops", args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(failure(error, stderr, file, because));
    });
  });
}

function failure(error: Error, stderr: string, file: string, because: string): MongotapError {
  if (codeOf(error) === "ENOENT") {
    return new MongotapError(
      "config",
      `${file}: ${because}, and the program sops, which could open it, is not installed`,
      {
        hint: "Install sops (https://github.com/getsops/sops) so that it is found on PATH, or add an age key to the file.",
      },
    );
  }
  const code = "code" in error && typeof error.code === "number" ? error.code : 0;
  const reason = WORDS[code] ?? (code === 0 ? "it did not end in time" : `it ended with ${code}`);
  // Without a key nothing was decrypted, so what it says cannot hold plain text.
  const detail =
    code === 128
      ? stderr
          .replaceAll(/[\s|]+/g, " ")
          .trim()
          .slice(0, 600)
      : "";
  return new MongotapError("config", `${file}: ${because}, so the program sops was asked: ${reason}`, {
    hint: detail === "" ? "Run `sops --decrypt` on the file to see more." : detail,
  });
}

/** JSON, which is YAML as well, with the keys in their order and numbers as they stand. */
function jsonOf(node: TreeNode): string {
  if (node.kind === "list") return `[${node.items.map(jsonOf).join(", ")}]`;
  if (node.kind === "map") {
    return `{${[...node.entries].map(([key, value]) => `${JSON.stringify(key)}: ${jsonOf(value)}`).join(", ")}}`;
  }
  if (node.value === null) return "null";
  return typeof node.value === "string" && !node.plain ? JSON.stringify(node.text) : plainOf(node.text);
}

/** A plain text may be a date, which quotes would turn into text; most others need them within brackets. */
function plainOf(text: string): string {
  return /^[\w.:+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** `plain` with the lines of `original`; what was encrypted there is marked. */
function mark(original: TreeMap, plain: TreeMap): TreeMap {
  const entries = new Map<string, TreeNode>();
  for (const [key, node] of plain.entries) entries.set(key, markNode(original.entries.get(key), node));
  return { ...plain, place: original.place, entries };
}

function markNode(original: TreeNode | undefined, plain: TreeNode): TreeNode {
  const place = original?.place ?? plain.place;
  if (plain.kind === "map") return original?.kind === "map" ? mark(original, plain) : { ...plain, place };
  if (plain.kind === "list") {
    const before = original?.kind === "list" ? original.items : [];
    return { ...plain, place, items: plain.items.map((item, index) => markNode(before[index], item)) };
  }
  return { ...plain, place, encrypted: original?.kind === "scalar" && isEnvelope(original.text) };
}
