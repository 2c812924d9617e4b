/** Writes to standard output for stdout.fault.test.ts and says on stderr what happened. */

import { fstatSync, writeSync } from "node:fs";
import { EVERYTHING } from "../../src/lib/output-key.ts";
import { openStdoutSink } from "../../src/sink/stdout.ts";
import { MongotapError } from "../../src/errors.ts";

export const SCRIPT = import.meta.filename;

export interface StdoutJob {
  readonly lines: number;
  readonly refuseNull?: boolean;
}

const LINES_PER_WRITE = 1000;

/** 100 bytes that tell which line they are. */
export function lineOf(index: number): string {
  return `${String(index).padStart(99, ".")}\n`;
}

async function run({ lines, refuseNull = false }: StdoutJob): Promise<void> {
  process.on("SIGTERM", () => {
    writeSync(2, "stopped\n");
    process.exit(143);
  });
  await using sink = await openStdoutSink({ fd: 1, refuseNull });
  writeSync(2, fstatSync(1).isSocket() ? "opened a socket\n" : "opened\n");
  for (let first = 0; first < lines; first += LINES_PER_WRITE) {
    const count = Math.min(LINES_PER_WRITE, lines - first);
    const bytes = Buffer.from(Array.from({ length: count }, (_, index) => lineOf(first + index)).join(""));
    await sink.write(bytes, [{ key: EVERYTHING, begin: 0, end: bytes.length, lines: count }]);
  }
  await sink.finalize();
  writeSync(2, "done\n");
}

if (import.meta.main) {
  try {
    await run(JSON.parse(process.argv[2] ?? "") as StdoutJob);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof MongotapError)) throw error;
    writeSync(2, `${error.kind}: ${error.message}\n`);
    process.exit(error.exitCode);
  }
}
