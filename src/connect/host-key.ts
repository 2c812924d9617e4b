/** Whether the ssh server is the one that is meant: decided before we log in there. */

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

import { MongotapError } from "../errors.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";
import { fingerprint, judge, keyType, type KnownHost, lookUp, nameInFile } from "./known-hosts.ts";

export interface HostKeyRules {
  readonly host: string;
  readonly port: number;
  /** `SHA256:…` of the one key that is trusted; no file is asked then. */
  readonly pinned: string | undefined;
  /** Instead of ~/.ssh/known_hosts. */
  readonly knownHosts: string | undefined;
}

export interface HostKeyCheck {
  /** The host key algorithms to ask for, so that a host is not refused for a key that we never knew. */
  readonly algorithms: readonly HostKeyAlgorithm[] | undefined;
  /** Says why `key` is not trusted; undefined where it is. */
  refusal(key: Buffer): MongotapError | undefined;
  /** What was found out about the last key: `ssh-ed25519 SHA256:… (known_hosts:3)`. */
  readonly shown: string;
}

type HostKeyAlgorithm =
  | "ssh-ed25519"
  | "ecdsa-sha2-nistp256"
  | "ecdsa-sha2-nistp384"
  | "ecdsa-sha2-nistp521"
  | "rsa-sha2-512"
  | "rsa-sha2-256"
  | "ssh-rsa";

/** By the type of the key. A certificate, or a key that a security token holds, is beyond ssh2. */
const ALGORITHMS: Readonly<Record<string, readonly HostKeyAlgorithm[]>> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
};

/** @throws MongotapError `config` when a file that was named cannot be read */
export async function hostKeyCheck(rules: HostKeyRules): Promise<HostKeyCheck> {
  return rules.pinned === undefined ? checkByFile(rules) : checkByPin(rules, rules.pinned);
}

function checkByPin({ host, port }: HostKeyRules, pinned: string): HostKeyCheck {
  let shown = "";
  return {
    algorithms: undefined,
    get shown() {
      return shown;
    },
    refusal(key) {
      const found = fingerprint(key);
      shown = `${keyType(key)} ${found} (pinned)`;
      if (found === pinned.replace(/=+$/, "")) return undefined;
      return new MongotapError("auth", `${host}:${port} shows the ${keyType(key)} key ${found}, not ${pinned}`, {
        hint: "Nothing was sent. If the key of the host was changed on purpose, set the new fingerprint (--ssh-host-key).",
      });
    },
  };
}

async function checkByFile(rules: HostKeyRules): Promise<HostKeyCheck> {
  const path = rules.knownHosts ?? join(homedir(), ".ssh", "known_hosts");
  const known = lookUp(await readKnownHosts(path, rules.knownHosts !== undefined), rules.host, rules.port);
  const algorithms = [...new Set(known.trusted.flatMap(({ type }) => ALGORITHMS[type] ?? []))];
  let shown = "";
  return {
    algorithms: algorithms.length === 0 ? undefined : algorithms,
    get shown() {
      return shown;
    },
    refusal(key) {
      const verdict = judge(known, key);
      shown = `${keyType(key)} ${fingerprint(key)}`;
      if (verdict.kind === "trusted") shown += ` (${path}:${verdict.line})`;
      return refusalOf(rules, path, known, key);
    },
  };
}

function refusalOf(
  { host, port }: HostKeyRules,
  path: string,
  known: KnownHost,
  key: Buffer,
): MongotapError | undefined {
  const verdict = judge(known, key);
  const shows = `${host}:${port} shows the ${keyType(key)} key ${fingerprint(key)}`;
  const scan = `ssh-keyscan ${port === 22 ? "" : `-p ${port} `}${host}`;
  const line = `${nameInFile(host, port)} ${keyType(key)} ${key.toString("base64")}`;
  switch (verdict.kind) {
    case "trusted":
      return undefined;
    case "revoked":
      return new MongotapError("auth", `${shows}, which ${path}:${verdict.line} says is revoked`, {
        hint: "Nothing was sent. Somebody else may hold this key: ask whoever runs the host.",
      });
    case "changed":
      return new MongotapError("auth", `${shows}, but ${path}:${verdict.line} knows another one`, {
        hint: `Nothing was sent. Somebody may be in between. If the key was changed on purpose, put this line in the place of the old one: ${line}`,
      });
    case "authority":
      return new MongotapError(
        "auth",
        `${shows}; ${path}:${verdict.line} trusts a certificate authority for it, which mongotap cannot check`,
        { hint: `Nothing was sent. Add the key itself (compare it first): ${line}` },
      );
    case "unknown":
      return new MongotapError("auth", `${shows}, and ${path} knows none for it`, {
        hint: `Nothing was sent. Ask whoever runs the host whether this is its fingerprint; if so, add what \`${scan}\` prints, or this line: ${line} (or say --ssh-host-key ${fingerprint(key)})`,
      });
  }
}

/** A file that nobody named may be missing: then no host is known. */
async function readKnownHosts(path: string, isNamed: boolean): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (!isNamed && codeOf(error) === "ENOENT") return "";
    throw new MongotapError("config", `the known hosts of ssh cannot be read from ${path}: ${reasonOf(error)}`, {
      hint: "Check the name and the permissions (--ssh-known-hosts).",
      cause: error,
    });
  }
}
