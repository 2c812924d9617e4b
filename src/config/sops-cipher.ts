/**
 * The values of a document that sops has encrypted, and its MAC. Format: https://github.com/getsops/sops (aes/cipher.go,
 * sops.go): AES-256-GCM with a nonce of 32 bytes, bound to the keys above the value; SHA-512 over all values.
 */

import { createDecipheriv, createHash, type Hash } from "node:crypto";

import { MongotapError } from "../errors.ts";
import { placeText } from "./faults.ts";
import type { SopsMetadata } from "./sops-metadata.ts";
import type { TreeMap, TreeNode, TreeScalar } from "./tree.ts";

const ENVELOPE = /^ENC\[AES256_GCM,data:([^,]*),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]$/;
/** Hashed first where only encrypted values count, so that such a MAC is never taken for the other kind (sops.go). */
const ONLY_ENCRYPTED = Buffer.from("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69", "hex");
/** What YAML for Go takes for a time when it has no quotes. */
const TIME = /^(\d{4})-(\d\d?)-(\d\d?)(?:[Tt ](\d\d?):(\d\d?):(\d\d?)(\.\d+)?(Z|[+-]\d\d:\d\d)?)?$/;

/** Whether `text` is the envelope of an encrypted value. */
export function isEnvelope(text: string): boolean {
  return text.startsWith("ENC[AES256_GCM,");
}

/**
 * `document` with its values in plain text and without its `sops` section.
 * @throws MongotapError `config` when a value does not decrypt, or the MAC does not fit; nothing is quoted
 */
export function decryptTree(document: TreeMap, metadata: SopsMetadata, key: Uint8Array): TreeMap {
  const entries = new Map([...document.entries].filter(([name]) => name !== "sops"));
  const hash = createHash("sha512");
  if (metadata.macOnlyEncrypted) hash.update(ONLY_ENCRYPTED);
  const plain = new Decryption(metadata, key, hash).map({ ...document, entries }, []);
  const expected = readMac(document, metadata, key);
  if (hash.digest("hex").toUpperCase() !== expected) {
    throw new MongotapError("config", `${document.place.file} is not as sops left it: its MAC does not fit`, {
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
    if (node.value === "") return node; // sops leaves it as it is, and hashes nothing
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
    place: section.place,
    value: mac,
    text: mac,
    plain: true,
    encrypted: false,
  };
  if (!isEnvelope(mac)) throw broken(node, "has no MAC: nothing says that the values are those that were encrypted");
  return open(node, key, lastModified, "has a MAC that cannot be read: it was changed").bytes.toString("utf8");
}

/** @throws MongotapError `config`; the tag binds the bytes to the keys above them (`bound`) */
function open(
  node: TreeScalar,
  key: Uint8Array,
  bound: string,
  otherwise = "does not decrypt: it was changed, or moved here from another place",
): { bytes: Buffer; type: string } {
  const [, data = "", iv = "", tag = "", type = ""] = ENVELOPE.exec(node.text) ?? [];
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(iv, "base64"), { authTagLength: 16 });
    decipher.setAAD(Buffer.from(bound));
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

/** What sops hashes for a value that is not encrypted. */
function clearBytes({ value, text, plain }: TreeScalar): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return floatText(value);
  return (plain && typeof value === "string" ? timeText(text) : undefined) ?? String(value);
}

/** As Go writes a float with the format 'f' and the shortest precision: never with an exponent. */
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

/** As Go writes a time (RFC 3339); undefined for what is none. */
function timeText(text: string): string | undefined {
  const [whole, year, month = "", day = "", hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] =
    TIME.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const two = (digits: string): string => digits.padStart(2, "0");
  const parts = fraction.replace(/\.?0+$/, "");
  const offset = /^[+-]00:00$/.test(zone) ? "Z" : zone;
  return `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}${parts}${offset}`;
}

function broken({ place }: TreeScalar, message: string, cause?: unknown): MongotapError {
  return new MongotapError("config", `${placeText(place)} ${message}`, {
    hint: "Go back to a copy that sops made, or edit it with sops.",
    cause,
  });
}
