/** Where a config stops being JSON: by line and column, and without its content. */

import { expect, test } from "bun:test";
import { parseJson } from "../../src/config/json.ts";
import { parseJsonTree } from "../../src/config/yaml-tree.ts";
import { MongotapError } from "../../src/errors.ts";
import { CANARY } from "../support/cli.ts";

function refusalOf(text: string): string {
  try {
    parseJsonTree(text, "config");
  } catch (error) {
    if (error instanceof MongotapError) return `${error.kind} ${error.message} ${error.hint}`;
  }
  throw new Error("not refused");
}

test.each([
  [`{"uri":"x","password": ${CANARY}","user":"u"}`, "config:1:24", "a value, such as text in double quotes"],
  [`{"password":"${CANARY}",}`, "config:1:40", "a key in double quotes"],
  [`{"password":"${CANARY}"`, "config:1:39", "a comma or }, but the text ends"],
  [`{"password":"${CANARY}`, "config:1:13", "text on one line with both of its double quotes"],
  [`{\n  "key": "-----BEGIN\n${CANARY}"}`, "config:2:10", "\\n for a line break"],
  [`{\n  password: "${CANARY}"}`, "config:2:3", "a key in double quotes"],
  [`{"password" "${CANARY}"}`, "config:1:13", "a colon"],
  [`{"a":[{},[],1 2]}`, "config:1:15", "a comma or ]"],
  [`{"a":01}`, "config:1:6", "a value"],
  [`{"a":1} ${CANARY}`, "config:1:9", "the end of the text"],
])("a config that begins with a brace is JSON and nothing else: %s", (text, at, expected) => {
  const refusal = refusalOf(text);
  expect(refusal).toStartWith(`config ${at} is not valid JSON: expected `);
  expect(refusal).toContain(expected);
  expect(refusal).not.toMatch(new RegExp(`${CANARY}|YAML|named above`));
});

test("everything that JSON.parse takes is taken, and nothing else", () => {
  const texts = [
    '{"a":[]}',
    "[1,-0.5e+3,true,null]",
    '"\\ud83d\\/"',
    "{}",
    " 1 ",
    "",
    "nul",
    "[1,]",
    "1.",
    '"\\x"',
    "+1",
    "[}",
  ];
  for (const text of texts) {
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    const check = (): unknown => parseJson(text, "f");
    if (isJson) expect(check).not.toThrow();
    else expect(check).toThrow("is not valid JSON: expected");
  }
});

test("what does not begin with a brace may be YAML, and a byte order mark is passed over", () => {
  expect(parseJsonTree("uri: x", "config").entries.has("uri")).toBe(true);
  expect(parseJsonTree('\uFEFF{\n\t"uri": "a\\/b"}', "config").entries.has("uri")).toBe(true);
});
