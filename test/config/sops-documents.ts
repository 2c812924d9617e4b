/** Documents for the tests of sops: in plain text, and as the real sops encrypts each of them. */

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SopsTools } from "../../scripts/sops.ts";
import { CANARY } from "../support/cli.ts";

/** Only good for these fixtures: made for them, and public. */
export const FIXTURE_KEYS = "keys.txt";

/** Every kind of value, keys that JavaScript would move, and an order that matters. */
const EVERYTHING = `# a comment
address: db.example.net:27017
user: "yes"
password: ${CANARY}
"10": ten
"9": nine
many: [a, 2, 3.5, true, "", ~]
big: 9007199254740993
small: 1.0e-7
large: 1.0e+21
minus: -2.5
day: 2026-01-02
moment: 2026-01-02T10:20:30.5+02:00
on: "on"
empty: {}
none:
text: |
  several
  lines äöü 😀
nested:
  deep:
    - name: x
      secret: ${CANARY}-2
`;

const EVERYTHING_JSON = `{"address":"db.example.net:27017","user":"me","password":"${CANARY}","10":"ten","9":[1,2.5,true,null,""],"big":9007199254740993,"nested":{"a":{"b":"c"}}}\n`;

const SUFFIXED = `address: db.example.net:27017
user: me
password_sops: ${CANARY}
limit: 7
big: 1.5e-9
since: 2026-01-02
isFine: true
networkTunnel_sops:
  sshForwarding:
    privateKey: ${CANARY}-key
`;

const CONFIG = `address: 127.0.0.1:1/?serverSelectionTimeoutMS=50
user: reader
password: ${CANARY}
namespaces: [shop.orders]
retryFor: 0s
`;

export interface SopsDocument {
  readonly name: string;
  readonly text: string;
  /** Further arguments of `sops encrypt`. */
  readonly args: readonly string[];
}

export const SOPS_DOCUMENTS: readonly SopsDocument[] = [
  { name: "whole.yaml", text: EVERYTHING, args: [] },
  { name: "whole.json", text: EVERYTHING_JSON, args: [] },
  { name: "suffix.yaml", text: SUFFIXED, args: ["--encrypted-suffix", "_sops"] },
  {
    name: "suffix.json",
    text: `{"password_sops":"${CANARY}","user":"me","n":1.5}`,
    args: ["--encrypted-suffix", "_sops"],
  },
  { name: "unsuffix.yaml", text: "user_clear: me\npassword: hidden\n", args: ["--unencrypted-suffix", "_clear"] },
  { name: "regex.yaml", text: EVERYTHING, args: ["--encrypted-regex", "^(?i:pass|secret)"] },
  { name: "unregex.yaml", text: EVERYTHING, args: ["--unencrypted-regex", "^(user|address)$"] },
  { name: "config.yaml", text: CONFIG, args: [] },
  {
    name: "config-suffix.yaml",
    text: CONFIG.replace("password", "password_sops"),
    args: ["--encrypted-suffix", "_sops"],
  },
];

/** Encrypts `document` for `recipients` with the real sops. */
export function encrypt(
  { sops }: SopsTools,
  { name, text, args }: SopsDocument,
  recipients: readonly string[],
): string {
  const type = name.endsWith(".json") ? "json" : "yaml";
  const all = ["encrypt", "--age", recipients.join(","), "--input-type", type, "--output-type", type, ...args];
  return execFileSync(sops, [...all, "/dev/stdin"], { input: text, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
}

/** What the real sops makes of an encrypted file. */
function decrypt({ sops }: SopsTools, path: string, keys: string): string {
  const env = { ...process.env, SOPS_AGE_KEY_FILE: keys };
  return execFileSync(sops, ["decrypt", path], { env, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
}

/** A new age key as a file; returns its recipient. */
export function makeKey({ ageKeygen }: SopsTools, path: string, args: readonly string[] = []): string {
  execFileSync(ageKeygen, [...args, "-o", path], { stdio: "pipe" });
  return execFileSync(ageKeygen, ["-y", path], { encoding: "utf8", stdio: "pipe" }).trim();
}

/** Makes the committed files anew: each document encrypted, and as sops decrypts it. */
export function makeFixtures(tools: SopsTools, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const keys = join(folder, FIXTURE_KEYS);
  const recipient = makeKey(tools, keys);
  for (const document of SOPS_DOCUMENTS) {
    const path = join(folder, document.name);
    writeFileSync(path, encrypt(tools, document, [recipient]));
    writeFileSync(join(folder, `plain-${document.name}`), decrypt(tools, path, keys));
  }
}
