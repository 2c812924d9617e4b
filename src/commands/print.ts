/** Prints text on standard output through the sink of the data: process.stdout would leave a pipe non-blocking. */

import { EVERYTHING } from "../lib/output-key.ts";
import { openStdoutSink } from "../sink/stdout.ts";

/** Resolves when the kernel has all of it. @throws MongotapError `pipe` or `output` */
export async function print(text: string): Promise<void> {
  await using sink = await openStdoutSink({ fd: 1, refuseNull: false });
  const bytes = new TextEncoder().encode(text);
  await sink.write(bytes, [{ key: EVERYTHING, begin: 0, end: bytes.length, lines: 0 }]);
  await sink.flush();
}
