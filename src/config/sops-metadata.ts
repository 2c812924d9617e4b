/** The `sops` section of an encrypted document: who can open it, what is encrypted, and how it is sealed. */

import { MongotapError } from "../errors.ts";
import { placeText } from "./faults.ts";
import type { TreeMap, TreeNode } from "./tree.ts";

/** Whether the value behind these keys is encrypted. */
type Rule = (keys: readonly string[]) => boolean;

export interface SopsMetadata {
  /** Age files (armored) that each hold the data key, and for whom. */
  readonly age: readonly { readonly recipient: string; readonly enc: string }[];
  /** Other services that could give the data key, such as `gcp_kms`. */
  readonly services: readonly string[];
  /** Only the program sops can read it, and why; undefined where we can. */
  readonly onlyProgram: string | undefined;
  readonly isEncrypted: Rule;
  readonly macOnlyEncrypted: boolean;
  readonly mac: string;
  readonly lastModified: string;
  /** Stands behind the names of encrypted keys, and is taken away. */
  readonly suffix: string | undefined;
}

const SERVICES = ["pgp", "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault"] as const;
const RULES = [
  "unencrypted_suffix",
  "encrypted_suffix",
  "unencrypted_regex",
  "encrypted_regex",
  "unencrypted_comment_regex",
  "encrypted_comment_regex",
] as const;

/** The metadata of `document`, or undefined where it is not encrypted. @throws MongotapError `config` */
export function sopsMetadataOf(document: TreeMap): SopsMetadata | undefined {
  const section = document.entries.get("sops");
  if (section?.kind !== "map") return undefined;
  const text = (name: string): string => textOf(section.entries.get(name));
  const rules = RULES.filter((name) => text(name) !== "");
  if (rules.length > 1) {
    throw new MongotapError(
      "config",
      `${placeText(section.place)} has two rules on what is encrypted: ${rules.join(", ")}`,
    );
  }
  const [rule] = rules;
  const pattern = rule === undefined ? "_unencrypted" : text(rule);
  const isEncrypted = ruleOf(rule ?? "unencrypted_suffix", pattern);
  const services = SERVICES.filter((name) => mapsOf(section.entries.get(name)).length > 0);
  const hasGroups = mapsOf(section.entries.get("key_groups")).length > 0;
  const onlyProgram = hasGroups
    ? "it has key groups"
    : isEncrypted === undefined
      ? `it has the rule ${rule ?? ""}`
      : undefined;
  return {
    age: mapsOf(section.entries.get("age")).map(({ entries }) => ({
      recipient: textOf(entries.get("recipient")),
      enc: textOf(entries.get("enc")),
    })),
    services,
    onlyProgram,
    isEncrypted: isEncrypted ?? (() => true),
    macOnlyEncrypted: text("mac_only_encrypted") === "true",
    mac: text("mac"),
    lastModified: text("lastmodified"),
    suffix: rule === "encrypted_suffix" ? pattern : undefined,
  };
}

/** A rule hits when any key on the path does. Undefined for rules that only the program sops can apply. */
function ruleOf(name: (typeof RULES)[number], pattern: string): Rule | undefined {
  if (name === "encrypted_suffix") return (keys) => keys.some((key) => key.endsWith(pattern));
  if (name === "unencrypted_suffix") return (keys) => !keys.some((key) => key.endsWith(pattern));
  const regex = regexOf(pattern);
  if (regex === undefined) return undefined;
  if (name === "encrypted_regex") return (keys) => keys.some((key) => regex.test(key));
  if (name === "unencrypted_regex") return (keys) => !keys.some((key) => regex.test(key));
  return undefined;
}

/** Go's RE2 and JavaScript agree on what people write, once a leading `(?i)` is a flag. */
function regexOf(pattern: string): RegExp | undefined {
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  try {
    return new RegExp(pattern.slice(flags?.[0].length ?? 0), `u${flags?.[1] ?? ""}`);
  } catch {
    return undefined; // the program sops is asked then
  }
}

function mapsOf(node: TreeNode | undefined): TreeMap[] {
  return node?.kind === "list" ? node.items.filter((item) => item.kind === "map") : [];
}

function textOf(node: TreeNode | undefined): string {
  return node?.kind === "scalar" && node.value !== null ? node.text : "";
}
