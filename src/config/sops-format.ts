/**
 * The format of a document that sops has encrypted: its `sops` section, its values, and its MAC over all of them. Values
 * are encrypted with AES-256-GCM (a nonce of 32 bytes, the keys above the value as additional data), the MAC is a SHA-512.
 * Source: https://github.com/getsops/sops (aes/cipher.go, sops.go).
 */

import { createDecipheriv, createHash, type Hash } from "node:crypto";

import { MongotapError } from "../errors.ts";
import { locationText } from "./problems.ts";
import type { TreeMap, TreeNode, TreeScalar } from "./yaml-tree.ts";

/** Whether the value at this path of keys is encrypted. */
type Rule = (keys: readonly string[]) => boolean;

export interface SopsMetadata {
  /** Age files (armored) that each hold the data key for one recipient. */
  readonly age: readonly { readonly recipient: string; readonly enc: string }[];
  /** Other key services that hold the data key, such as `gcp_kms`. */
  readonly services: readonly string[];
  /** Why only the program sops can decrypt the document; undefined if mongotap can. */
  readonly onlyProgram: string | undefined;
  readonly isEncrypted: Rule;
  readonly macOnlyEncrypted: boolean;
  readonly mac: string;
  readonly lastModified: string;
  /** The suffix of encrypted keys (`encrypted_suffix`), which is removed. */
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
      `${locationText(section.location)} has two rules on what is encrypted: ${rules.join(", ")}`,
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

/** A rule applies when any key of the path matches. Undefined for rules that only the program sops can apply. */
function ruleOf(name: (typeof RULES)[number], pattern: string): Rule | undefined {
  if (name === "encrypted_suffix") return (keys) => keys.some((key) => key.endsWith(pattern));
  if (name === "unencrypted_suffix") return (keys) => !keys.some((key) => key.endsWith(pattern));
  const regex = regexOf(pattern);
  if (regex === undefined) return undefined;
  if (name === "encrypted_regex") return (keys) => keys.some((key) => regex.test(key));
  if (name === "unencrypted_regex") return (keys) => !keys.some((key) => regex.test(key));
  return undefined;
}

/** Go's RE2 and JavaScript agree on usual patterns once a leading `(?i)` becomes a flag. */
function regexOf(pattern: string): RegExp | undefined {
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  try {
    return new RegExp(pattern.slice(flags?.[0].length ?? 0), `u${flags?.[1] ?? ""}`);
  } catch {
    return undefined; // then the program sops decrypts it
  }
}

function mapsOf(node: TreeNode | undefined): TreeMap[] {
  return node?.kind === "list" ? node.items.filter((item) => item.kind === "map") : [];
}

function textOf(node: TreeNode | undefined): string {
  return node?.kind === "scalar" && node.value !== null ? node.text : "";
}

const ENVELOPE = /^ENC\[AES256_GCM,data:([^,]*),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]$/;
/** Hashed first if the MAC covers encrypted values only, so that it never equals a MAC over all values (sops.go). */
const ONLY_ENCRYPTED = Buffer.from("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69", "hex");
/** What Go's YAML package reads as a time when it has no quotes. */
const TIME = /^(\d{4})-(\d\d?)-(\d\d?)(?:[Tt ](\d\d?):(\d\d?):(\d\d?)(\.\d+)?(Z|[+-]\d\d:\d\d)?)?$/;

/** Whether `text` is an encrypted value. */
export function isEnvelope(text: string): boolean {
  return text.startsWith("ENC[AES256_GCM,");
}

/**
 * `document` with its values in plain text and without its `sops` section.
 * @throws MongotapError `config` when a value does not decrypt or the MAC differs; the message quotes no value
 */
export function decryptTree(document: TreeMap, metadata: SopsMetadata, key: Uint8Array): TreeMap {
  const entries = new Map([...document.entries].filter(([name]) => name !== "sops"));
  const hash = createHash("sha512");
  if (metadata.macOnlyEncrypted) hash.update(ONLY_ENCRYPTED);
  const plain = new Decryption(metadata, key, hash).map({ ...document, entries }, []);
  const expected = readMac(document, metadata, key);
  if (hash.digest("hex").toUpperCase() !== expected) {
    throw new MongotapError("config", `${document.location.file} is not as sops left it: its MAC does not fit`, {
      hint: "A value was changed, added, removed or moved without sops. Go back to a copy that sops made, or edit it with sops.",
    });
  }
  return plain;
}

class Decryption {
  readonly #metadata: SopsMetadata;
  readonly #key: Uint8Array;
  readonly #hash: Hash;

  constructor(metadata: SopsMetadata, key: Uint8Array, hash: Hash) {
    this.#metadata = metadata;
    this.#key = key;
    this.#hash = hash;
  }

  map(map: TreeMap, above: readonly string[]): TreeMap {
    const entries = new Map([...map.entries].map(([name, node]) => [name, this.#node(node, [...above, name])]));
    return { ...map, entries };
  }

  #node(node: TreeNode, keys: readonly string[]): TreeNode {
    if (node.kind === "map") return this.map(node, keys);
    if (node.kind === "list") return { ...node, items: node.items.map((item) => this.#node(item, keys)) };
    if (node.value === null) return node;
    if (!this.#metadata.isEncrypted(keys)) {
      if (!this.#metadata.macOnlyEncrypted) this.#hash.update(clearBytes(node));
      return node;
    }
    if (node.value === "") return node; // sops neither encrypts nor hashes an empty text
    if (!isEnvelope(node.text)) throw broken(node, "is not encrypted, although it should be");
    const { bytes, type } = open(node, this.#key, `${keys.join(":")}:`);
    const scalar = toScalar(node, bytes.toString("utf8"), type);
    this.#hash.update(type === "bool" ? (scalar.value === true ? "True" : "False") : bytes);
    return scalar;
  }
}

function readMac(document: TreeMap, { mac, lastModified }: SopsMetadata, key: Uint8Array): string {
  const section = document.entries.get("sops") ?? document;
  const node: TreeScalar = {
    kind: "scalar",
    location: section.location,
    value: mac,
    text: mac,
    plain: true,
    encrypted: false,
  };
  if (!isEnvelope(mac)) throw broken(node, "has no MAC: nothing says that the values are those that were encrypted");
  return open(node, key, lastModified, "has a MAC that cannot be read: it was changed").bytes.toString("utf8");
}

/** `context` is the additional authenticated data: for a value, the keys above it. @throws MongotapError `config` */
function open(
  node: TreeScalar,
  key: Uint8Array,
  context: string,
  otherwise = "does not decrypt: it was changed, or moved here from another place",
): { bytes: Buffer; type: string } {
  const [, data = "", iv = "", tag = "", type = ""] = ENVELOPE.exec(node.text) ?? [];
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(iv, "base64"), { authTagLength: 16 });
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(Buffer.from(tag, "base64"));
    const bytes = Buffer.concat([decipher.update(Buffer.from(data, "base64")), decipher.final()]);
    return { bytes, type };
  } catch (error) {
    throw broken(node, otherwise, error);
  }
}

function toScalar(node: TreeScalar, text: string, type: string): TreeScalar {
  const plain = { ...node, text, encrypted: true, plain: false };
  if (type === "str" || type === "bytes" || type === "time") return { ...plain, value: text };
  if (type === "int") return { ...plain, value: BigInt(text) };
  if (type === "float") return { ...plain, value: Number(text) };
  if (type === "bool") {
    const value = ["1", "t", "T", "TRUE", "true", "True"].includes(text);
    return { ...plain, value, text: String(value) };
  }
  throw broken(node, "has a type that this version does not know");
}

/** The text that sops hashes for a value that is not encrypted. */
function clearBytes({ value, text, plain }: TreeScalar): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return floatText(value);
  return (plain && typeof value === "string" ? timeText(text) : undefined) ?? String(value);
}

/** Formats a float as Go does with the format 'f' and the shortest precision: without an exponent. */
function floatText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (Object.is(value, -0)) return "-0";
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  if (point >= digits.length) return `${sign}${digits}${"0".repeat(point - digits.length)}`;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** Formats a time as Go does (RFC 3339); undefined if `text` is none. */
function timeText(text: string): string | undefined {
  const [whole, year, month = "", day = "", hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] =
    TIME.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const two = (digits: string): string => digits.padStart(2, "0");
  const parts = fraction.replace(/\.?0+$/, "");
  const offset = /^[+-]00:00$/.test(zone) ? "Z" : zone;
  return `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}${parts}${offset}`;
}

function broken({ location }: TreeScalar, message: string, cause?: unknown): MongotapError {
  return new MongotapError("config", `${locationText(location)} ${message}`, {
    hint: "Go back to a copy that sops made, or edit it with sops.",
    cause,
  });
}
