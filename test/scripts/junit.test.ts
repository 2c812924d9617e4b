import { expect, test } from "bun:test";
import { countTests, flakyFiles } from "../../scripts/test/junit.ts";

const report = (...tests: string[]): string =>
  `<testsuites><testsuite name="x" file="test/x.test.ts" failures="9" skipped="9">${tests.join("")}</testsuite></testsuites>`;
const passed = `<testcase name="a &lt;failure " file="test/x.test.ts" />`;
const failed = `<testcase name="b" file="test/x.test.ts"><failure type="AssertionError" message="" /></testcase>`;
const skipped = `<testcase name="c" file="test/x.test.ts"><skipped /></testcase>`;
const files = ["test/x.test.ts"];

test("countTests() counts each test once, by how it ended", () => {
  const counts = countTests({ report: report(passed, failed, skipped, passed), exitCode: 1, files });
  expect(counts).toEqual({ passed: 2, failed: 1, skipped: 1, silent: [] });
});

test("countTests() counts a file that ran no test as failed, whatever the exit code", () => {
  const counts = countTests({ report: report(passed), exitCode: 0, files: [...files, "test/y.test.ts"] });
  expect(counts).toEqual({ passed: 1, failed: 1, skipped: 0, silent: ["test/y.test.ts"] });
});

test("countTests() counts every file of a run that wrote no report as failed", () => {
  const counts = countTests({ report: undefined, exitCode: 0, files: ["test/x.test.ts", "test/y.test.ts"] });
  expect(counts.failed).toBe(2);
});

test("countTests() counts a run that failed without a failed test as one failure", () => {
  expect(countTests({ report: report(passed), exitCode: -1, files }).failed).toBe(1);
});

test("flakyFiles() names the files that failed beside others and passed alone", () => {
  const together = { report: report(failed), exitCode: 1, files: [...files, "test/y.test.ts", "test/z.test.ts"] };
  const alone = { report: report(passed), exitCode: 1, files: [...files, "test/y.test.ts"] };
  expect(flakyFiles(together, alone)).toEqual(files);
});

test("flakyFiles() names none if the second run failed outside of a test", () => {
  const together = { report: report(failed), exitCode: 1, files };
  expect(flakyFiles(together, { report: report(passed), exitCode: -1, files })).toEqual([]);
});
