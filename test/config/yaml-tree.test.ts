import { describe, expect, test } from "bun:test";
import { parseTree, type TreeNode } from "../../src/config/yaml-tree.ts";
import { MongotapError } from "../../src/errors.ts";
import { CANARY } from "../support/cli.ts";

/** `path@line = value` of every leaf, in order. */
function leaves(text: string): string[] {
  const walk = (node: TreeNode): string[] => {
    if (node.kind === "map") return [...node.entries.values()].flatMap(walk);
    if (node.kind === "list") return node.items.flatMap(walk);
    return [`${node.location.path}@${node.location.line} = ${node.text}`];
  };
  return walk(parseTree(text, "f.yaml"));
}

function refused(text: string): string {
  try {
    parseTree(text, "f.yaml");
  } catch (error) {
    if (error instanceof MongotapError) return error.message;
  }
  throw new Error("not refused");
}

test("parseTree() knows the line and path of every value, and keeps keys in their order", () => {
  const text = `b: 1\n"10":\n  - x: a\n    y: [p, q]\n9: z\na: "quoted"\n`;
  expect(leaves(text)).toEqual([
    "b@1 = 1",
    "10[0].x@3 = a",
    "10[0].y[0]@4 = p",
    "10[0].y[1]@4 = q",
    "9@5 = z",
    "a@6 = quoted",
  ]);
});

test("parseTree() keeps numbers as they are written", () => {
  expect(leaves("a: 9007199254740993\nb: 1.50\nc: 007\nd: 1e3")).toEqual([
    "a@1 = 9007199254740993",
    "b@2 = 1.50",
    "c@3 = 007",
    "d@4 = 1e3",
  ]);
});

test("parseTree() reads JSON, tabs, CRLF and a byte order mark included", () => {
  expect(leaves('{\n\t"a": {\n\t\t"b": [1, "x"]\n\t}\n}')).toEqual(["a.b[0]@3 = 1", "a.b[1]@3 = x"]);
  expect(leaves("\uFEFFa: 1\r\nb: 2\r\n")).toEqual(["a@1 = 1", "b@2 = 2"]);
});

test("parseTree() follows aliases and merges", () => {
  expect(leaves("x: &x\n  a: 1\n  b: 2\ny:\n  <<: *x\n  b: 3\nz: *x")).toEqual([
    "x.a@2 = 1",
    "x.b@3 = 2",
    "y.<<.a@2 = 1",
    "y.b@6 = 3",
    "z.a@2 = 1",
    "z.b@3 = 2",
  ]);
});

test("parseTree() takes an empty file for an empty map", () => {
  expect(parseTree("", "f").entries.size).toBe(0);
  expect(parseTree("# only a comment\n", "f").entries.size).toBe(0);
});

test("parseTree() gives up on aliases that multiply", () => {
  const lines = Array.from({ length: 9 }, (_, i) => `k${i + 1}: &k${i + 1} [${`*k${i},`.repeat(9)}]`);
  expect(refused(`k0: &k0 [x]\n${lines.join("\n")}`)).toMatch(/it is too large|cannot be read/);
});

describe("parseTree() says where and why a file is wrong, and never quotes it", () => {
  const cases: readonly (readonly [says: string, text: string])[] = [
    ["f.yaml:2 is not valid YAML or JSON: the same key stands there twice", `password: x\npassword: ${CANARY}\n`],
    ["a character is missing", `password: "${CANARY}\n`],
    ["the indentation does not fit", `a:\n    b: 1\n  password: ${CANARY}\n`],
    ["f.yaml:1 is not valid YAML or JSON: keys and values are expected", `- ${CANARY}`],
    ["keys and values are expected", CANARY],
    ["a second document begins", `a: 1\n---\npassword: ${CANARY}\n`],
    ["is not valid YAML or JSON", `password: *${CANARY}\n`],
    ["a value has a tag that is not known", `password: !!binary aGVsbG8=\n`],
    ["is not valid YAML or JSON", `password: !<x${CANARY}> {\n`],
    ["a key is not a text", `? [${CANARY}]\n: 1\n`],
    ["is not valid YAML or JSON", `\t\tpassword: ${CANARY}\n x: 1\n`],
    ["is not valid YAML or JSON", `{"password": "${CANARY}"`],
  ];
  test.each(cases)("%s", (says, text) => {
    const message = refused(text);
    expect(message).toContain(says);
    expect(message).not.toContain(CANARY);
    expect(message).not.toContain("\n");
  });
});
