import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { fingerprint, judge, type KnownHost, lookUp } from "../../src/connect/known-hosts.ts";
import { newKey, publicPart } from "../support/ssh-server.ts";

const OURS = publicPart(newKey("ed25519"));
const OTHER = publicPart(newKey("ed25519"));
const ECDSA = publicPart(newKey("ecdsa"));

function blobOf(key: string): Buffer {
  return Buffer.from(key.split(" ")[1] ?? "", "base64");
}

/** The verdict about OURS, presented by `host`, and its line. */
function verdict(text: string, host = "bastion.example.net", port = 22): string {
  const found = judge(lookUp(text, host, port), blobOf(OURS));
  return "line" in found ? `${found.kind} ${found.line}` : found.kind;
}

function hashed(name: string): string {
  const salt = Buffer.alloc(20, "salt");
  return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`;
}

describe("lookUp() finds a host", () => {
  test("by its name, in any case, among several, before a comment", () => {
    expect(verdict(`# list\n\nother,Bastion.Example.net ${OURS} me@home\r\n`)).toBe("trusted 3");
    expect(verdict(`bastion.example.net\t${OURS}`, "BASTION.example.net")).toBe("trusted 1");
    expect(verdict(`bastion ${OURS}`)).toBe("unknown");
    expect(verdict(`bastionXexample.net ${OURS}`)).toBe("unknown");
  });

  test("with its port if that is not 22, and only with it", () => {
    expect(verdict(`[bastion.example.net]:2222 ${OURS}`, undefined, 2222)).toBe("trusted 1");
    expect(verdict(`bastion.example.net ${OURS}`, undefined, 2222)).toBe("unknown");
    expect(verdict(`[bastion.example.net]:2222 ${OURS}`)).toBe("unknown");
    expect(verdict(`[::1]:2222 ${OURS}`, "::1", 2222)).toBe("trusted 1");
  });

  test("by patterns, unless a pattern with ! matches", () => {
    expect(verdict(`*.example.net ${OURS}`)).toBe("trusted 1");
    expect(verdict(`bastio?.example.net ${OURS}`)).toBe("trusted 1");
    expect(verdict(`*.example.net,!bastion.* ${OURS}`)).toBe("unknown");
    expect(verdict(`!bastion.example.net,* ${OURS}`)).toBe("unknown");
    expect(verdict(`!bastion.example.net ${OURS}`, "another")).toBe("unknown");
    expect(verdict(`[*.example.net]:* ${OURS}`, undefined, 2222)).toBe("trusted 1");
  });

  test("by the hash of its name", () => {
    expect(verdict(`${hashed("bastion.example.net")} ${OURS}`)).toBe("trusted 1");
    expect(verdict(`${hashed("[bastion.example.net]:2222")} ${OURS}`, undefined, 2222)).toBe("trusted 1");
    expect(verdict(`${hashed("another")} ${OURS}`)).toBe("unknown");
    expect(verdict(`|2|x|y ${OURS}\n|1|| ${OURS}\n| ${OURS}`)).toBe("unknown");
  });
});

describe("judge() of a key", () => {
  test("is trusted if a line has it, and changed if the file has only other keys of the host", () => {
    expect(verdict(`bastion.example.net ${OTHER}\nbastion.example.net ${OURS}`)).toBe("trusted 2");
    expect(verdict(`bastion.example.net ${OTHER}`)).toBe("changed 1");
    expect(verdict(`bastion.example.net ${ECDSA}`)).toBe("changed 1");
  });

  test("is revoked if a @revoked line has it, even if another line trusts it", () => {
    expect(verdict(`bastion.example.net ${OURS}\n@revoked * ${OURS}`)).toBe("revoked 2");
    expect(verdict(`bastion.example.net ${OURS}\n@revoked * ${OTHER}`)).toBe("trusted 1");
  });

  test("is not trusted by a @cert-authority line", () => {
    expect(verdict(`@cert-authority *.example.net ${OTHER}`)).toBe("authority 1");
    expect(verdict(`@cert-authority *.example.net ${OURS}`)).toBe("authority 1");
    expect(verdict(`@cert-authority *.example.net ${OTHER}\nbastion.example.net ${OURS}`)).toBe("trusted 2");
  });

  test("is unknown if its line is malformed or has an unknown marker", () => {
    const [type, base64] = OURS.split(" ");
    for (const line of [`bastion.example.net`, `bastion.example.net ${type}`, `bastion.example.net ecdsa ${base64}`])
      expect(verdict(line)).toBe("unknown");
    expect(verdict(`@other bastion.example.net ${OURS}`)).toBe("unknown");
    expect(verdict(`#bastion.example.net ${OURS}`)).toBe("unknown");
    expect(verdict("")).toBe("unknown");
  });
});

test("lookUp() finds the types of all keys of a host", () => {
  const known: KnownHost = lookUp(`a ${OURS}\na ${ECDSA}\nb ${OTHER}`, "a", 22);
  expect(known.trusted.map(({ type }) => type)).toEqual(["ssh-ed25519", "ecdsa-sha2-nistp256"]);
});

test("fingerprint() is what ssh-keygen -l prints", () => {
  const key = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"; // of github.com
  expect(fingerprint(Buffer.from(key, "base64"))).toBe("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
});
