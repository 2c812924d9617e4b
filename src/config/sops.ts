/**
 * Decrypts documents that sops has encrypted, as a whole or in part. mongotap uses age keys itself; all other key services
 * need the program `sops`. The MAC is always verified. No message quotes a document.
 */

import { MongotapError } from "../errors.ts";
import { openWithAgeKeys, type OpenedKey } from "./age-keys.ts";
import type { Environment } from "./config-reader.ts";
import { locationText } from "./problems.ts";
import { decryptTree, type SopsMetadata, sopsMetadataOf } from "./sops-format.ts";
import { decryptWithProgram } from "./sops-program.ts";
import type { TreeMap, TreeNode } from "./yaml-tree.ts";

export interface SopsSettings {
  readonly env: Environment;
  /** The path of the file that the document is the whole of; undefined for a part of a file. */
  readonly wholeFile: string | undefined;
}

/**
 * `document` in plain text, without its `sops` section and without the suffix of encrypted keys. Returns a document that is
 * not encrypted as it is.
 * @throws MongotapError `config` when there is no key or a wrong one, or when the document was changed
 */
export async function decryptSops(document: TreeMap, { env, wholeFile }: SopsSettings): Promise<TreeMap> {
  const metadata = sopsMetadataOf(document);
  if (metadata === undefined) return document;
  const plain = await decrypt(document, metadata, { env, wholeFile });
  return metadata.suffix === undefined ? plain : withoutSuffix(plain, metadata.suffix);
}

async function decrypt(document: TreeMap, metadata: SopsMetadata, settings: SopsSettings): Promise<TreeMap> {
  const { age, services, onlyProgram } = metadata;
  const { file } = document.location;
  if (onlyProgram !== undefined) return decryptWithProgram(document, { ...settings, because: onlyProgram });
  const native = age.filter(({ recipient }) => !recipient.startsWith("ssh-"));
  if (native.length === 0 && services.length + age.length === 0) {
    throw new MongotapError("config", `${file} is encrypted by sops for nobody: its \`sops\` section names no key`);
  }
  if (native.length === 0) {
    const because = `it is encrypted with ${[...services, ...(age.length > 0 ? ["an SSH key"] : [])].join(", ")}`;
    return decryptWithProgram(document, { ...settings, because });
  }
  const opened = await openWithAgeKeys(
    native.map(({ enc }) => enc),
    settings.env,
  );
  if (opened.secret !== undefined) return decryptTree(document, metadata, opened.secret);
  if (services.length > 0 || native.length < age.length || settings.env["SOPS_AGE_KEY_CMD"]) {
    return decryptWithProgram(document, { ...settings, because: "no age key that was found opens it" });
  }
  throw noKey(
    file,
    opened,
    native.map(({ recipient }) => recipient),
  );
}

function noKey(file: string, { tried, sources, troubles }: OpenedKey, recipients: readonly string[]): MongotapError {
  const trouble = troubles.length === 0 ? "" : ` (${troubles.join("; ")})`;
  if (tried.length === 0) {
    return new MongotapError("config", `${file} is encrypted by sops, and there is no age key to open it${trouble}`, {
      hint: `Looked for in ${sources.join(", ")}. It is encrypted for ${recipients.join(", ")}.`,
    });
  }
  return new MongotapError("config", `${file} is encrypted by sops, and none of your age keys opens it${trouble}`, {
    hint: `Tried ${tried.join(", ")}. It is encrypted for ${recipients.join(", ")}.`,
  });
}

/** Removes the suffix from every key, as Flow does for its connectors. @throws MongotapError `config` when two keys become equal */
function withoutSuffix(map: TreeMap, suffix: string): TreeMap {
  const entries = new Map<string, TreeNode>();
  for (const [key, node] of map.entries) {
    const name = key.endsWith(suffix) && key !== suffix ? key.slice(0, -suffix.length) : key;
    if (entries.has(name))
      throw new MongotapError(
        "config",
        `${locationText(node.location)} stands there twice, with and without ${suffix}`,
      );
    entries.set(name, strip(node, suffix));
  }
  return { ...map, entries };
}

function strip(node: TreeNode, suffix: string): TreeNode {
  if (node.kind === "map") return withoutSuffix(node, suffix);
  return node.kind === "list" ? { ...node, items: node.items.map((item) => strip(item, suffix)) } : node;
}
