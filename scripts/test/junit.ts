/** Counts the tests of a `bun test` run from the JUnit report that it wrote. */

/** The numbers of tests of one run, by how they ended. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NOTHING: Counts = { passed: 0, failed: 0, skipped: 0 };

/** The sum of two counts. */
export function plus(left: Counts, right: Counts): Counts {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
  };
}

/** What one `bun test` process left behind. */
export interface Outcome {
  /** The text of its JUnit report; undefined if it wrote none. */
  readonly report: string | undefined;
  readonly exitCode: number;
  /** The test files it was given. */
  readonly files: readonly string[];
}

/**
 * Counts the tests of a run, and one failure for each file that ran none (`silent`: it threw when it was loaded, the
 * process died before it, or it has no tests). A run that failed without a failed test counts as one failure.
 */
export function countTests({ report = "", exitCode, files }: Outcome): Counts & { readonly silent: readonly string[] } {
  const ran = new Set<string>();
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const test of report.split("<testcase ").slice(1)) {
    ran.add(/ file="([^"]*)"/.exec(test)?.[1] ?? "");
    if (/<(failure|error)[ >/]/.test(test)) failed++;
    else if (/<skipped[ >/]/.test(test)) skipped++;
    else passed++;
  }
  const silent = files.filter((file) => !ran.has(file));
  failed += silent.length;
  if (exitCode !== 0 && failed === 0) failed = 1;
  return { passed, failed, skipped, silent };
}

/** The files of a run in which a test failed, or that ran none. */
export function brokenFiles({ report = "", files }: Outcome): readonly string[] {
  return files.filter((file) => {
    const tests = testsOf(report, file);
    return tests.length === 0 || tests.some((test) => /<(failure|error)[ >/]/.test(test));
  });
}

/** The files that were broken in the run `together` and passed in the run `alone`. */
export function flakyFiles(together: Outcome, alone: Outcome): readonly string[] {
  const brokenAlone = brokenFiles(alone);
  if (alone.exitCode !== 0 && brokenAlone.length === 0) return []; // it failed outside of a test: no file has passed
  return brokenFiles(together).filter((file) => alone.files.includes(file) && !brokenAlone.includes(file));
}

function testsOf(report: string, file: string): string[] {
  return report
    .split("<testcase ")
    .slice(1)
    .filter((test) => / file="([^"]*)"/.exec(test)?.[1] === file);
}
