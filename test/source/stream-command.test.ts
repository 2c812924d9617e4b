import { describe, expect, test } from "bun:test";
import type { ServerInfo } from "../../src/connect/client.ts";
import { canSplit, checkServer, fullDocumentOf } from "../../src/source/stream-command.ts";

function server(version: string, topology: ServerInfo["topology"] = "replicaSet"): ServerInfo {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  return { version: [major, minor, patch], topology, setName: "rs", setId: undefined };
}

test.each([
  ["5.0.0", "replicaSet", undefined],
  ["5.0.0", "sharded", undefined],
  ["4.4.29", "replicaSet", "the server is 4.4.29: 5.0 or newer is needed"],
  ["8.0.0", "standalone", "change streams need a replica set or a sharded cluster"],
] as const)("checkServer() of a %s %s", (version, topology, message) => {
  const check = (): void => checkServer(server(version, topology));
  if (message === undefined) expect(check).not.toThrow();
  else expect(check).toThrow(message);
});

test.each([
  ["5.0.31", false],
  ["6.0.8", false],
  ["6.0.9", true],
  ["6.1.0", false],
  ["6.3.2", false],
  ["7.0.0", true],
  ["8.0.0", true],
])("canSplit() of a server %s: %p", (version, expected) => {
  expect(canSplit(server(version))).toBe(expected);
});

describe("fullDocumentOf()", () => {
  const all = [{ images: true }, { images: true }];
  const some = [{ images: true }, { images: false }];

  test.each([
    ["image", "6.0.0", some, "required"],
    ["none", "6.0.0", all, "default"],
    ["exact", "6.0.0", all, "whenAvailable"],
    ["exact", "6.0.0", some, "whenAvailable"],
    ["exact", "6.0.0", [], "default"],
    ["exact", "5.0.31", all, "default"],
  ] as const)("%s on %s", (wanted, version, collections, expected) => {
    expect(fullDocumentOf(wanted, server(version), collections)).toBe(expected);
  });
});
