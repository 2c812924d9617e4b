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

/** What is made of our key, shown by `host`. */
function verdict(text: string, host = "bastion.example.net", port = 22): string {
  const found = judge(lookUp(text, host, port), blobOf(OURS));
  return "line" in found ? `${found.kind} ${found.line}` : found.kind;
}

function hashed(name: string): string {
  const salt = Buffer.alloc(20, "salt");
  return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`;
}

describe("a host is found", () => {
  test("by its name, in any case, among several, with a comment behind", () => {
    expect(verdict(`# list\n\nother,Bastion.Example.net ${OURS} me@home\r\n`)).toBe("trusted 3");
    expect(verdict(`bastion.example.net\t${OURS}`, "BASTION.example.net")).toBe("trusted 1");
    expect(verdict(`bastion ${OURS}`)).toBe("unknown");
    expect(verdict(`bastionXexample.net ${OURS}`)).toBe("unknown");
  });

  test("with its port where that is not 22, and only with that", () => {
    expect(verdict(`[bastion.example.net]:2222 ${OURS}`, undefined, 2222)).toBe("trusted 1");
    expect(verdict(`bastion.example.net ${OURS}`, undefined, 2222)).toBe("unknown");
    expect(verdict(`[bastion.example.net]:2222 ${OURS}`)).toBe("unknown");
    expect(verdict(`[::1]:2222 ${OURS}`, "::1", 2222)).toBe("trusted 1");
  });

  test("by patterns and not by those behind a !", () => {
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

describe("a key", () => {
  test("is trusted if any line has it, and changed if only other lines are there", () => {
    expect(verdict(`bastion.example.net ${OTHER}\nbastion.example.net ${OURS}`)).toBe("trusted 2");
    expect(verdict(`bastion.example.net ${OTHER}`)).toBe("changed 1");
    expect(verdict(`bastion.example.net ${ECDSA}`)).toBe("changed 1");
  });

  test("that is revoked is revoked, wherever else it stands", () => {
    expect(verdict(`bastion.example.net ${OURS}\n@revoked * ${OURS}`)).toBe("revoked 2");
    expect(verdict(`bastion.example.net ${OURS}\n@revoked * ${OTHER}`)).toBe("trusted 1");
  });

  test("of an authority trusts no host by itself", () => {
    expect(verdict(`@cert-authority *.example.net ${OTHER}`)).toBe("authority 1");
    expect(verdict(`@cert-authority *.example.net ${OURS}`)).toBe("authority 1");
    expect(verdict(`@cert-authority *.example.net ${OTHER}\nbastion.example.net ${OURS}`)).toBe("trusted 2");
  });

  test("that cannot be read, or behind an unknown marker, is passed over", () => {
    const [type, base64] = OURS.split(" ");
    for (const line of [`bastion.example.net`, `bastion.example.net ${type}`, `bastion.example.net ecdsa ${base64}`])
      expect(verdict(line)).toBe("unknown");
    expect(verdict(`@other bastion.example.net ${OURS}`)).toBe("unknown");
    expect(verdict(`#bastion.example.net ${OURS}`)).toBe("unknown");
    expect(verdict("")).toBe("unknown");
  });
});

test("the types of a host's keys are known, so that it is asked for one of these", () => {
  const known: KnownHost = lookUp(`a ${OURS}\na ${ECDSA}\nb ${OTHER}`, "a", 22);
  expect(known.trusted.map(({ type }) => type)).toEqual(["ssh-ed25519", "ecdsa-sha2-nistp256"]);
});

test("a fingerprint is as ssh-keygen -l prints it", () => {
  const key = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"; // of github.com
  expect(fingerprint(Buffer.from(key, "base64"))).toBe("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
});
