import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { usableKey } from "../../src/connect/ssh-session.ts";
import type { MongotapError } from "../../src/errors.ts";
import { rejectionOf } from "../support/rejection.ts";
import { newKey, publicPart } from "../support/ssh-server.ts";
import { tempDir } from "../support/temp.ts";

async function refusalOf(text: string, passphrase?: string): Promise<MongotapError> {
  return (await rejectionOf(usableKey({ text, from: "--ssh-key k" }, passphrase))) as MongotapError;
}

test.each(["ed25519", "rsa", "ecdsa"] as const)(
  "a key of type %s is usable, also with CRLF and without its last newline",
  async (type) => {
    const pair = newKey(type);
    const publicOf = async (text: string): Promise<string> => {
      const key = await usableKey({ text, from: "k" }, undefined);
      return `${key.type} ${key.getPublicSSH().toString("base64")}`;
    };
    expect(await publicOf(pair.private)).toBe(publicPart(pair));
    expect(await publicOf(`\n${pair.private.trim().replaceAll("\n", "\r\n")}`)).toBe(publicPart(pair));
  },
);

test.each(["RFC4716", "PEM"])("an encrypted key needs its passphrase: %s", async (format) => {
  await using dir = await tempDir();
  const args = ["-q", "-t", "rsa", "-b", "2048", "-m", format, "-N", "right", "-f", dir.join("k")];
  await promisify(execFile)("ssh-keygen", args);
  const text = await readFile(dir.join("k"), "utf8");
  expect((await usableKey({ text, from: "k" }, "right")).type).toBe("ssh-rsa");
  expect((await refusalOf(text)).message).toBe("--ssh-key k is encrypted, and there is no passphrase");
  const wrong = await refusalOf(text, "wrong");
  expect(wrong.message).toBe("--ssh-key k: the passphrase is wrong");
  expect(wrong.exitCode).toBe(2);
});

test("a public key and other text are refused as what they are", async () => {
  expect((await refusalOf(newKey("ed25519").public)).message).toBe("--ssh-key k is a public key, not a private one");
  const none = await refusalOf("hello");
  expect(none.message).toBe("--ssh-key k is not a private key that can be used: Unsupported key format");
  expect(none.hint).toContain("ssh-keygen -p");
});

test("the key of a security token is refused", async () => {
  const string = (text: string | Buffer): Buffer => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const type = "sk-ssh-ed25519@openssh.com";
  const one = Buffer.from([0, 0, 0, 1]);
  const publicKey = Buffer.concat([string(type), string(Buffer.alloc(32)), string("ssh:")]);
  const secret = Buffer.concat([Buffer.alloc(8), string(type), string(Buffer.alloc(32)), string("ssh:"), string("c")]);
  const padding = Buffer.from(Array.from({ length: 8 - (secret.length % 8) }, (_, index) => index + 1));
  const parts = [Buffer.from("openssh-key-v1\0"), string("none"), string("none"), string(""), one, string(publicKey)];
  const body = Buffer.concat([...parts, string(Buffer.concat([secret, padding]))]).toString("base64");
  const error = await refusalOf(`-----BEGIN OPENSSH PRIVATE KEY-----\n${body}\n-----END OPENSSH PRIVATE KEY-----\n`);
  expect(error.message).toBe(`--ssh-key k is a key of a security token (${type})`);
  expect(error.exitCode).toBe(10);
});
