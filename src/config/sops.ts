/**
 * Documents encrypted by sops, as a whole or some values only. Age keys are used here; for all other key services the
 * program `sops` is asked. The MAC is always verified. Nothing of a document is ever quoted.
 */

import { MongotapError } from "../errors.ts";
import { openWithAgeKeys, type OpenedKey } from "./age-keys.ts";
import { placeText } from "./faults.ts";
import type { Environment } from "./reading.ts";
import { decryptTree } from "./sops-cipher.ts";
import { type SopsMetadata, sopsMetadataOf } from "./sops-metadata.ts";
import { decryptWithProgram } from "./sops-program.ts";
import type { TreeMap, TreeNode } from "./tree.ts";

export interface SopsSettings {
  readonly env: Environment;
  /** The document is the whole of this file. */
  readonly wholeFile: string | undefined;
}

/**
 * `document` in plain text, without its `sops` section and without the suffix of encrypted keys; as it is where it is not
 * encrypted.
 * @throws MongotapError `config` when there is no key, a wrong one, or when the document was changed
 */
export async function decryptSops(document: TreeMap, { env, wholeFile }: SopsSettings): Promise<TreeMap> {
  const metadata = sopsMetadataOf(document);
  if (metadata === undefined) return document;
  const plain = await decrypt(document, metadata, { env, wholeFile });
  return metadata.suffix === undefined ? plain : withoutSuffix(plain, metadata.suffix);
}

async function decrypt(document: TreeMap, metadata: SopsMetadata, settings: SopsSettings): Promise<TreeMap> {
  const { age, services, onlyProgram } = metadata;
  const { file } = document.place;
  if (onlyProgram !== undefined) return decryptWithProgram(document, { ...settings, because: onlyProgram });
  const ours = age.filter(({ recipient }) => !recipient.startsWith("ssh-"));
  if (ours.length === 0 && services.length + age.length === 0) {
    throw new MongotapError("config", `${file} is encrypted by sops for nobody: its \`sops\` section names no key`);
  }
  if (ours.length === 0) {
    const because = `it is encrypted with ${[...services, ...(age.length > 0 ? ["an SSH key"] : [])].join(", ")}`;
    return decryptWithProgram(document, { ...settings, because });
  }
  const opened = await openWithAgeKeys(
    ours.map(({ enc }) => enc),
    settings.env,
  );
  if (opened.secret !== undefined) return decryptTree(document, metadata, opened.secret);
  if (services.length > 0 || ours.length < age.length || settings.env["SOPS_AGE_KEY_CMD"]) {
    return decryptWithProgram(document, { ...settings, because: "no age key that was found opens it" });
  }
  throw noKey(
    file,
    opened,
    ours.map(({ recipient }) => recipient),
  );
}

function noKey(file: string, { tried, places, troubles }: OpenedKey, recipients: readonly string[]): MongotapError {
  const trouble = troubles.length === 0 ? "" : ` (${troubles.join("; ")})`;
  if (tried.length === 0) {
    return new MongotapError("config", `${file} is encrypted by sops, and there is no age key to open it${trouble}`, {
      hint: `Looked for in ${places.join(", ")}. It is encrypted for ${recipients.join(", ")}.`,
    });
  }
  return new MongotapError("config", `${file} is encrypted by sops, and none of your age keys opens it${trouble}`, {
    hint: `Tried ${tried.join(", ")}. It is encrypted for ${recipients.join(", ")}.`,
  });
}

/** As Flow hands a config to its connector: the suffix goes from every key. @throws where two keys become one */
function withoutSuffix(map: TreeMap, suffix: string): TreeMap {
  const entries = new Map<string, TreeNode>();
  for (const [key, node] of map.entries) {
    const name = key.endsWith(suffix) && key !== suffix ? key.slice(0, -suffix.length) : key;
    if (entries.has(name))
      throw new MongotapError("config", `${placeText(node.place)} stands there twice, with and without ${suffix}`);
    entries.set(name, strip(node, suffix));
  }
  return { ...map, entries };
}

function strip(node: TreeNode, suffix: string): TreeNode {
  if (node.kind === "map") return withoutSuffix(node, suffix);
  return node.kind === "list" ? { ...node, items: node.items.map((item) => strip(item, suffix)) } : node;
}
