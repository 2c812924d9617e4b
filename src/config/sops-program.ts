/** Runs the program `sops` for what only it can decrypt: cloud key services, PGP, SSH keys, key groups. */

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { MongotapError } from "../errors.ts";
import { codeOf } from "../lib/fs.ts";
import type { Environment } from "./config-reader.ts";
import { isEnvelope } from "./sops-format.ts";
import { parseTree, type TreeMap, type TreeNode } from "./yaml-tree.ts";

export interface ProgramSettings {
  readonly env: Environment;
  /** The path of the file that the document is the whole of. A part of a file is passed to sops as a temporary file. */
  readonly wholeFile: string | undefined;
  /** Why mongotap cannot decrypt it, for messages. */
  readonly because: string;
}

const MINUTE_MS = 60_000;
const MOST_OUTPUT = 16 * 1024 * 1024;

/** The meaning of the exit codes of sops (https://github.com/getsops/sops, cmd/sops/codes). */
const EXIT_CODES: Readonly<Record<number, string>> = {
  25: "a value does not decrypt: it was changed, or moved",
  51: "its MAC does not fit: a value was changed, added or removed without sops",
  128: "no key for it could be had",
};

/**
 * `document` in plain text, without its `sops` section.
 * @throws MongotapError `config`; it quotes the output of sops only when there is no key, so that nothing was decrypted
 */
export async function decryptWithProgram(document: TreeMap, settings: ProgramSettings): Promise<TreeMap> {
  const { file } = document.location;
  if (settings.wholeFile !== undefined) {
    const type = settings.wholeFile.endsWith(".json") ? "json" : "yaml";
    return mark(document, parseTree(await runSops(settings.wholeFile, type, file, settings), file));
  }
  const folder = await mkdtemp(join(tmpdir(), "mongotap-sops-"));
  try {
    const path = join(folder, "part.yaml");
    await writeFile(path, jsonOf(document), { mode: 0o600 }); // still encrypted
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
  const reason = EXIT_CODES[code] ?? (code === 0 ? "it did not end in time" : `it ended with ${code}`);
  // Without a key sops has decrypted nothing, so its output cannot hold plain text.
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

/** JSON, which is valid YAML. Keys keep their order, and numbers their digits. */
function jsonOf(node: TreeNode): string {
  if (node.kind === "list") return `[${node.items.map(jsonOf).join(", ")}]`;
  if (node.kind === "map") {
    return `{${[...node.entries].map(([key, value]) => `${JSON.stringify(key)}: ${jsonOf(value)}`).join(", ")}}`;
  }
  if (node.value === null) return "null";
  return typeof node.value === "string" && !node.plain ? JSON.stringify(node.text) : plainOf(node.text);
}

/** An unquoted text may be a date, and must stay unquoted to remain one. Other texts need quotes inside brackets. */
function plainOf(text: string): string {
  return /^[\w.:+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** `plain` with the locations of `original`, and with the values marked that were encrypted in it. */
function mark(original: TreeMap, plain: TreeMap): TreeMap {
  const entries = new Map<string, TreeNode>();
  for (const [key, node] of plain.entries) entries.set(key, markNode(original.entries.get(key), node));
  return { ...plain, location: original.location, entries };
}

function markNode(original: TreeNode | undefined, plain: TreeNode): TreeNode {
  const location = original?.location ?? plain.location;
  if (plain.kind === "map") return original?.kind === "map" ? mark(original, plain) : { ...plain, location };
  if (plain.kind === "list") {
    const before = original?.kind === "list" ? original.items : [];
    return { ...plain, location, items: plain.items.map((item, index) => markNode(before[index], item)) };
  }
  return { ...plain, location, encrypted: original?.kind === "scalar" && isEnvelope(original.text) };
}
