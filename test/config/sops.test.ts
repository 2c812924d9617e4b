import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { chmod, copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TreeMap, TreeNode } from "../../src/config/yaml-tree.ts";
import { parseTree } from "../../src/config/yaml-tree.ts";
import { decryptSops } from "../../src/config/sops.ts";
import { MongotapError } from "../../src/errors.ts";
import { CANARY } from "../support/cli.ts";
import { tempDir } from "../support/temp.ts";
import { FIXTURE_KEYS, SOPS_DOCUMENTS } from "./sops-documents.ts";

const FIXTURES = join(import.meta.dirname, "fixtures");
/** A key of the right form that no document is encrypted for. */
const OTHER_KEY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

let key = "";

beforeAll(async () => {
  const lines = (await readFile(join(FIXTURES, FIXTURE_KEYS), "utf8")).split("\n");
  key = lines.find((line) => line.startsWith("AGE-SECRET-KEY-")) ?? "";
});

function fixture(name: string): string {
  return readFileSync(join(FIXTURES, name), "utf8");
}

/** Nothing of the machine: no key but this, no program. */
function environment(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return { HOME: "/nowhere", PATH: "/nowhere", ...more };
}

async function open(text: string, env = environment({ SOPS_AGE_KEY: key }), wholeFile?: string): Promise<TreeMap> {
  return decryptSops(parseTree(text, "some.yaml"), { env, wholeFile });
}

/** `[key path, value, text]` of every leaf, in order. */
function leavesOf(node: TreeNode, path = ""): (readonly [string, unknown])[] {
  if (node.kind === "map") return [...node.entries].flatMap(([name, inner]) => leavesOf(inner, `${path}/${name}`));
  if (node.kind === "list") return node.items.flatMap((item, index) => leavesOf(item, `${path}[${index}]`));
  return [[path, node.value]];
}

/** The error with which a text is refused; it holds nothing secret. */
async function refused(text: string, env?: Readonly<Record<string, string>>): Promise<MongotapError> {
  const error = await open(text, env).catch((thrown: unknown) => thrown);
  if (!(error instanceof MongotapError)) throw new Error(`not refused: ${String(error)}`);
  const whole = `${error.message} ${error.hint} ${error.stack ?? ""} ${String(error.cause)}`;
  expect(whole).not.toContain(CANARY);
  expect(whole).not.toContain(key);
  expect(error.kind).toBe("config");
  return error;
}

describe("unseal() reads what the real sops wrote, and finds what sops finds", () => {
  const readable = SOPS_DOCUMENTS.map(({ name }) => name);
  test.each(readable)("%s", async (name) => {
    const opened = await open(fixture(name));
    const suffix = name.includes("suffix") && !name.startsWith("un") ? "_sops" : undefined;
    const plain = leavesOf(parseTree(fixture(`plain-${name}`), "plain"));
    const expected = plain.map(([path, value]) => [suffix === undefined ? path : path.replaceAll(suffix, ""), value]);
    expect(leavesOf(opened)).toEqual(expected as never);
  });

  test("what is not encrypted stays as it is", async () => {
    expect(leavesOf(await open("a: 1\nsops: text"))).toEqual([
      ["/a", 1n],
      ["/sops", "text"],
    ]);
  });

  test("encrypted values are marked, others are not", async () => {
    const { entries } = await open(fixture("suffix.yaml"));
    expect(entries.get("password")).toMatchObject({ encrypted: true, text: CANARY });
    expect(entries.get("user")).toMatchObject({ encrypted: false });
  });

  test("a part of a document may be encrypted by itself", async () => {
    const part = fixture("suffix.yaml").replaceAll(/^/gm, "    ");
    const { entries } = parseTree(`captures:\n  config:\n${part}`, "some.yaml");
    const captures = entries.get("captures");
    const config = captures?.kind === "map" ? captures.entries.get("config") : undefined;
    if (config?.kind !== "map") throw new Error("no config");
    const opened = await decryptSops(config, { env: environment({ SOPS_AGE_KEY: key }), wholeFile: undefined });
    expect(opened.entries.get("password")).toMatchObject({ text: CANARY });
  });
});

describe("unseal() notices every change that sops notices", () => {
  const edits: readonly (readonly [says: string, name: string, edit: (text: string) => string])[] = [
    ["its MAC does not fit", "suffix.yaml", (t) => t.replace("limit: 7", "limit: 8")],
    ["its MAC does not fit", "suffix.yaml", (t) => t.replace("user: me", "user: ne")],
    ["its MAC does not fit", "suffix.yaml", (t) => t.replace("isFine: true", "isFine: false")],
    ["its MAC does not fit", "suffix.yaml", (t) => t.replace("big: 1.5e-09", "big: 1.5e-10")],
    ["its MAC does not fit", "suffix.yaml", (t) => t.replace("2026-01-02T00", "2026-01-02T01")],
    ["its MAC does not fit", "suffix.yaml", (t) => t.replace("user: me\n", "")],
    ["its MAC does not fit", "suffix.yaml", (t) => t.replace("user: me\n", "user: me\nadded: x\n")],
    ["its MAC does not fit", "whole.yaml", (t) => t.replace(/^user: .*\n/m, "")],
    ["password_sops does not decrypt", "suffix.yaml", (t) => t.replace(/(password_sops: ENC.*data:)./, "$1A")],
    ["password_sops does not decrypt", "suffix.yaml", (t) => t.replace(/(password_sops: ENC.*tag:)..../, "$1AAAA")],
    ["password_sops does not decrypt", "suffix.yaml", (t) => t.replace(/(password_sops: ).*/, "$1ENC[AES256_GCM,x]")],
    ["password_sops does not decrypt", "suffix.yaml", swapped],
    ["password_sops is not encrypted", "suffix.yaml", (t) => t.replace(/(password_sops: ).*/, "$1plain")],
    ["has a type that this version does not know", "suffix.yaml", (t) => t.replace("type:str]", "type:odd]")],
    ["has a MAC that cannot be read", "suffix.yaml", (t) => t.replace(/(mac: ENC.*data:)./, "$1!")],
    ["has a MAC that cannot be read", "suffix.yaml", (t) => t.replace('lastmodified: "20', 'lastmodified: "19')],
    ["has no MAC", "suffix.yaml", (t) => t.replace(/ +mac: .*\n/, "")],
    ["has two rules", "suffix.yaml", (t) => t.replace("encrypted_suffix", "encrypted_regex: x\n    encrypted_suffix")],
  ];
  test.each(edits)("%s (%s)", async (says, name, edit) => {
    const text = fixture(name);
    expect(edit(text)).not.toBe(text);
    expect((await refused(edit(text))).message).toContain(says);
  });

  function swapped(text: string): string {
    const [first = "", second = ""] = text.match(/ENC\[[^\]]*\]/g) ?? [];
    return text.replace(first, "?").replace(second, first).replace("?", second);
  }

  const equal: readonly (readonly [what: string, edit: (text: string) => string])[] = [
    ["a time written in another way", (t) => t.replace("2026-01-02T00:00:00Z", "2026-01-02")],
    ["a float written in another way", (t) => t.replace("1.5e-09", "0.0000000015")],
    ["other quotes", (t) => t.replace("user: me", 'user: "me"')],
    ["a comment and an empty key", (t) => t.replace("user: me", "user: me # it is\nnone:")],
    ["CRLF", (t) => t.replaceAll("\n", "\r\n")],
  ];
  test.each(equal)("but not what sops does not mind: %s", async (_, edit) => {
    const text = fixture("suffix.yaml");
    expect(edit(text)).not.toBe(text);
    expect((await open(edit(text))).entries.get("password")).toMatchObject({ text: CANARY });
  });

  test("the message has the line of a broken value", async () => {
    const text = fixture("suffix.yaml").replace(/(password_sops: ENC.*data:)./, "$1A");
    expect((await refused(text)).message).toStartWith("some.yaml:3: password_sops ");
  });

  test("two names that become one are refused", async () => {
    const text = fixture("config-suffix.yaml").replace(/^user: .*$/m, "password: reader");
    expect((await refused(text)).message).toMatch(/MAC|twice/);
  });
});

describe("keys", () => {
  test("no key: says where it looked, and for whom the file is", async () => {
    const { message, hint } = await refused(fixture("whole.yaml"), environment());
    expect(message).toBe("some.yaml is encrypted by sops, and there is no age key to open it");
    expect(hint).toMatch(/SOPS_AGE_KEY, .*sops\/age\/keys\.txt.* It is encrypted for age1/);
  });

  test("a wrong key: says which were tried", async () => {
    const age = await import("age-encryption");
    const other = await age.generateIdentity();
    const { message, hint } = await refused(fixture("whole.yaml"), environment({ SOPS_AGE_KEY: other }));
    expect(message).toBe("some.yaml is encrypted by sops, and none of your age keys opens it");
    expect(hint).toMatch(/^Tried SOPS_AGE_KEY\. It is encrypted for age1/);
  });

  test("a damaged key is not quoted", async () => {
    const { message, hint } = await refused(
      fixture("whole.yaml"),
      environment({ SOPS_AGE_KEY: OTHER_KEY.slice(0, -3) }),
    );
    expect(message).toContain("SOPS_AGE_KEY holds a key that is damaged");
    expect(message + hint).not.toContain("GFPYY");
  });

  test("a key file, named or in its usual place, with comments and several keys", async () => {
    await using dir = await tempDir();
    const named = dir.join("named.txt");
    await copyFile(join(FIXTURES, FIXTURE_KEYS), named);
    await chmod(named, 0o600);
    const plain = leavesOf(await open(fixture("whole.yaml")));
    expect(leavesOf(await open(fixture("whole.yaml"), environment({ SOPS_AGE_KEY_FILE: named })))).toEqual(plain);
    const { mkdir, writeFile } = await import("node:fs/promises");
    await mkdir(dir.join("sops", "age"), { recursive: true });
    const { generateIdentity } = await import("age-encryption");
    const two = `# one\r\n${await generateIdentity()}\r\n\r\n# two\r\n${key}\r\n`;
    await writeFile(dir.join("sops", "age", "keys.txt"), two, { mode: 0o600 });
    const usual = environment({ XDG_CONFIG_HOME: dir.path, SOPS_AGE_KEY: await generateIdentity() });
    expect(leavesOf(await open(fixture("whole.yaml"), usual))).toEqual(plain);
  });

  test("a key file that others can read is refused, and one that is not there is named", async () => {
    await using dir = await tempDir();
    const named = dir.join("named.txt");
    await copyFile(join(FIXTURES, FIXTURE_KEYS), named);
    await chmod(named, 0o644);
    const open644 = await refused(fixture("whole.yaml"), environment({ SOPS_AGE_KEY_FILE: named }));
    expect(open644.message).toContain(`can be read by others (mode 0644): chmod 600 ${named}`);
    const gone = await refused(fixture("whole.yaml"), environment({ SOPS_AGE_KEY_FILE: "/nowhere/at-all" }));
    expect(gone.message).toContain("SOPS_AGE_KEY_FILE (/nowhere/at-all) cannot be read");
  });

  test("a key file encrypted with a passphrase is named as such", async () => {
    const armored = "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n-----END AGE ENCRYPTED FILE-----\n";
    expect((await refused(fixture("whole.yaml"), environment({ SOPS_AGE_KEY: armored }))).message).toContain(
      "passphrase",
    );
  });
});

describe("other key services go through the program sops", () => {
  const kms =
    "sops:\n  gcp_kms:\n    - resource_id: projects/x\n      enc: abc\n  mac: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]\n";

  test("whose absence the message reports", async () => {
    const { message, hint } = await refused(`password: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]\n${kms}`);
    expect(message).toBe(
      "some.yaml: it is encrypted with gcp_kms, and the program sops, which could open it, is not installed",
    );
    expect(hint).toContain("Install sops");
  });

  test("also for key groups, comment rules and SSH keys", async () => {
    const groups = "a: b\nsops:\n  key_groups:\n    - age: []\n  mac: x\n";
    expect((await refused(groups)).message).toContain("it has key groups");
    const comments = "a: b\nsops:\n  encrypted_comment_regex: x\n  age:\n    - recipient: age1x\n      enc: x\n";
    expect((await refused(comments)).message).toContain("it has the rule encrypted_comment_regex");
    const ssh = "a: b\nsops:\n  age:\n    - recipient: ssh-ed25519 AAAA\n      enc: x\n";
    expect((await refused(ssh)).message).toContain("it is encrypted with an SSH key");
  });

  test("also for a command that gives the key", async () => {
    const env = environment({ SOPS_AGE_KEY_CMD: "cat key" });
    expect((await refused(fixture("whole.yaml"), env)).message).toContain(
      "no age key that was found opens it, and the program",
    );
  });

  test("no recipient at all", async () => {
    expect((await refused("a: b\nsops:\n  mac: x\n")).message).toContain("encrypted by sops for nobody");
  });
});
