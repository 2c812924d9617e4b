/** Counts what a `bun test` run did, from the report that it wrote: nothing else survives a run that crashed. */

/** How many tests of one run ended how. */
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

/** What is known of a run: its report (undefined where it wrote none), its exit code, and the files it was given. */
export interface Outcome {
  readonly report: string | undefined;
  readonly exitCode: number;
  readonly files: readonly string[];
}

/**
 * Counts the tests of a run, and one failure for each file that ran none (it threw when it was loaded, the process
 * died, or somebody emptied it). A run that failed without a failed test counts as one failure.
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

/** What a run did besides `files`. */
export function without(files: readonly string[], { report = "", files: all }: Outcome): Outcome {
  const kept = all.filter((file) => !files.includes(file));
  const tests = kept.flatMap((file) => testsOf(report, file));
  return { report: tests.map((test) => `<testcase ${test}`).join(""), exitCode: 0, files: kept };
}

function testsOf(report: string, file: string): string[] {
  return report
    .split("<testcase ")
    .slice(1)
    .filter((test) => / file="([^"]*)"/.exec(test)?.[1] === file);
}
