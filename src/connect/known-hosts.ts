/**
 * Parses OpenSSH's known_hosts file, as sshd(8) describes it ("SSH_KNOWN_HOSTS FILE FORMAT"): patterns with * and ?, negation, hashed names, [host]:port, @revoked and @cert-authority.
 */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export interface KnownKey {
  /** Such as `ssh-ed25519`. */
  readonly type: string;
  readonly blob: Buffer;
  /** The line number, from 1. */
  readonly line: number;
}

/** The keys that a file lists for one host. */
export interface KnownHost {
  readonly trusted: readonly KnownKey[];
  readonly revoked: readonly KnownKey[];
  /** Certificate authorities. ssh2 cannot verify the certificates that they sign. */
  readonly authorities: readonly KnownKey[];
}

export type Verdict =
  | { readonly kind: "trusted" | "revoked"; readonly line: number }
  /** The file lists other keys for the host: its key was replaced, or this is another host. */
  | { readonly kind: "changed"; readonly line: number }
  | { readonly kind: "authority"; readonly line: number }
  | { readonly kind: "unknown" };

/** The name of a host in the file: `[host]:port` unless the port is 22. */
export function nameInFile(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** Finds the keys of a host in the text of a file. Skips lines that it cannot parse, as OpenSSH does. */
export function lookUp(text: string, host: string, port: number): KnownHost {
  const name = nameInFile(host, port);
  const found = { trusted: [] as KnownKey[], revoked: [] as KnownKey[], authorities: [] as KnownKey[] };
  for (const [index, line] of text.split("\n").entries()) {
    const words = line.trim().split(/[ \t]+/);
    const marker = words[0]?.startsWith("@") === true ? words.shift() : undefined;
    const [patterns, type, base64] = words;
    if (patterns === undefined || type === undefined || base64 === undefined || patterns.startsWith("#")) continue;
    if (!fits(patterns, name)) continue;
    const blob = Buffer.from(base64, "base64");
    if (keyType(blob) !== type) continue;
    const key: KnownKey = { type, blob, line: index + 1 };
    if (marker === undefined) found.trusted.push(key);
    else if (marker === "@revoked") found.revoked.push(key);
    else if (marker === "@cert-authority") found.authorities.push(key);
  }
  return found;
}

/** Decides whether the file trusts the key that a host presents. */
export function judge(known: KnownHost, blob: Buffer): Verdict {
  const revoked = known.revoked.find((key) => key.blob.equals(blob));
  if (revoked !== undefined) return { kind: "revoked", line: revoked.line };
  const trusted = known.trusted.find((key) => key.blob.equals(blob));
  if (trusted !== undefined) return { kind: "trusted", line: trusted.line };
  const [other] = known.trusted;
  if (other !== undefined) return { kind: "changed", line: other.line };
  const [authority] = known.authorities;
  return authority === undefined ? { kind: "unknown" } : { kind: "authority", line: authority.line };
}

/** As `ssh-keygen -l` prints it. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replaceAll("=", "")}`;
}

/** The type in the key blob (RFC 4253, 6.6); empty if the blob is not a key. */
export function keyType(blob: Buffer): string {
  if (blob.length < 4) return "";
  const length = blob.readUInt32BE(0);
  return length > 64 || blob.length < 4 + length ? "" : blob.toString("latin1", 4, 4 + length);
}

function fits(patterns: string, name: string): boolean {
  if (patterns.startsWith("|")) return isHashOf(patterns, name);
  let isFound = false;
  for (const pattern of patterns.toLowerCase().split(",")) {
    if (pattern.startsWith("!") && fitsPattern(pattern.slice(1), name)) return false;
    isFound ||= fitsPattern(pattern, name);
  }
  return isFound;
}

/** `text` is `|1|salt|hash`, salt and hash in base64. */
function isHashOf(text: string, name: string): boolean {
  const [, version, salt, hash] = text.split("|");
  if (version !== "1" || salt === undefined || hash === undefined) return false;
  const expected = Buffer.from(hash, "base64");
  const actual = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function fitsPattern(pattern: string, name: string): boolean {
  const source = pattern.replaceAll(/[\\^$.+()|[\]{}]/g, String.raw`\$&`);
  return new RegExp(`^${source.replaceAll(/\*+/g, ".*").replaceAll("?", ".")}$`).test(name);
}
