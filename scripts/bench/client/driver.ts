/** What users of the driver do: its cursor or its change stream, and `EJSON.stringify` of each document. */

import { closeSync, openSync, writeSync } from "node:fs";
import { BSON, type Collection, Timestamp } from "mongodb";

/** Lines are gathered to about this many characters before they are written. */
const PIECE = 1 << 20;

/** Writes the whole collection to `file`; resolves to the number of lines. */
export async function exportCollection(collection: Collection, file: string): Promise<number> {
  return await writeLines(collection.find({}), file, Number.POSITIVE_INFINITY);
}

/** Writes the first `count` events since `seconds` to `file`. */
export async function exportStream(
  collection: Collection,
  seconds: number,
  count: number,
  file: string,
): Promise<number> {
  await using stream = collection.watch([], { startAtOperationTime: new Timestamp({ t: seconds, i: 0 }) });
  return await writeLines(stream, file, count);
}

/** Writes each event to standard output as it comes, until it is killed. */
export async function exportLive(collection: Collection): Promise<number> {
  let count = 0;
  for await (const event of collection.watch()) {
    const line = `${BSON.EJSON.stringify(event, { relaxed: true })}\n`;
    await new Promise((resolve) => process.stdout.write(line, resolve));
    count += 1;
  }
  return count;
}

async function writeLines(documents: AsyncIterable<object>, file: string, most: number): Promise<number> {
  const descriptor = openSync(file, "w");
  let lines = "";
  let count = 0;
  for await (const document of documents) {
    lines += `${BSON.EJSON.stringify(document, { relaxed: true })}\n`;
    count += 1;
    if (lines.length > PIECE) {
      writeSync(descriptor, lines);
      lines = "";
    }
    if (count >= most) break;
  }
  writeSync(descriptor, lines);
  closeSync(descriptor);
  return count;
}
