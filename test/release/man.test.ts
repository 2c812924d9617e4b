import { expect, test } from "bun:test";
import { COMMANDS } from "../../src/cli.ts";
import { POLICY } from "../../src/errors.ts";
import { documentedOptions, manPage } from "../../scripts/release/man.ts";

/** As a reader sees it: without requests and escapes. */
const PAGE = manPage("1.2.3", new Date("2026-01-31T12:00:00Z"))
  .replaceAll(/\\f[BIR]/g, "")
  .replaceAll("\\-", "-");

test("the manual page has each command, option, variable and exit code", () => {
  expect(documentedOptions().length).toBeGreaterThan(40);
  const heads = [
    ...Object.keys(COMMANDS).map((name) => `\n.B mongotap ${name}\n`),
    ...documentedOptions().map((name) => `\n.TP\n${name}`),
    ...Object.values(POLICY).map(({ exit }) => `\n.TP\n${exit}\n`),
  ];
  expect(heads.filter((head) => !PAGE.includes(head))).toEqual([]);
});

test("the manual page has the version, and the day of the commit", () => {
  expect(PAGE).toStartWith('.TH MONGOTAP 1 2026-01-31 "mongotap 1.2.3"');
});

test("no line of text is taken for a request", () => {
  const requests = PAGE.split("\n").filter(
    (line) => /^[.']/.test(line) && !/^\.(TH|SH|SS|TP|B|br|nf|fi|nh|ad)\b/.test(line),
  );
  expect(requests).toEqual([]);
});
