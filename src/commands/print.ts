/** Prints a text to standard output as data is written: through process.stdout a pipe would become non-blocking. */

import { openStdoutSink } from "../sink/stdout.ts";

/** Resolves when the text is written. @throws MongotapError `pipe` or `output` */
export async function print(text: string): Promise<void> {
  await using sink = await openStdoutSink({ fd: 1, refuseNull: false });
  const bytes = new TextEncoder().encode(text);
  await sink.write(bytes, [{ namespace: "", begin: 0, end: bytes.length, lines: 0 }]);
  await sink.flush();
}
