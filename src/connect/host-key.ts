/** Verifies the host key of the SSH server, before the login: pinned by its fingerprint, or listed in known_hosts. */

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

import { MongotapError } from "../errors.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";
import { fingerprint, judge, keyType, type KnownHost, lookUp, nameInFile } from "./known-hosts.ts";

export interface HostKeyRules {
  readonly host: string;
  readonly port: number;
  /** The `SHA256:…` fingerprint of the one trusted key; known_hosts is not read then. */
  readonly pinned: string | undefined;
  /** The path of the file; default: ~/.ssh/known_hosts. */
  readonly knownHosts: string | undefined;
}

export interface HostKeyCheck {
  /**
   * The host key algorithms to offer: those of the keys in known_hosts, so that the server does not send a key of another
   * type. Undefined: the defaults of ssh2.
   */
  readonly algorithms: readonly HostKeyAlgorithm[] | undefined;
  /** Returns why `key` is not trusted; undefined if it is. */
  refusal(key: Buffer): MongotapError | undefined;
  /** Type and fingerprint of the last key, and why it is trusted: `ssh-ed25519 SHA256:… (known_hosts:3)`. */
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

/** By key type. ssh2 supports neither certificates nor the keys of security tokens. */
const ALGORITHMS: Readonly<Record<string, readonly HostKeyAlgorithm[]>> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
};

/** @throws MongotapError `config` if known_hosts cannot be read; a missing default file is no error */
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

/** A missing default file is the same as an empty one. */
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
