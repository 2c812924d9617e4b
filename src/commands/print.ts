/** Text for people on standard output, by the same door as the data: process.stdout would leave a pipe non-blocking. */

import { openStdoutSink } from "../sink/stdout.ts";

/** Resolves when the reader has taken it all. @throws MongotapError `pipe` or `output` */
export async function print(text: string): Promise<void> {
  await using sink = await openStdoutSink({ fd: 1, refuseNull: false });
  const bytes = new TextEncoder().encode(text);
  await sink.write(bytes, [{ namespace: "", begin: 0, end: bytes.length, lines: 0 }]);
  await sink.flush();
}
