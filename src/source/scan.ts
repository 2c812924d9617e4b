/**
 * Reads a view, or a time series whose buckets cannot be read, from beginning to end with one cursor. Neither has an `_id`
 * index, so no read can go on behind a chunk: all but the last are `partial`.
 */

import { ServerCode, serverCodeOf } from "../connect/server-errors.ts";
import { MongotapError } from "../errors.ts";
import { cursorReplies, timeOf } from "./cursor-replies.ts";
import { type BsonDocuments, type Chunk, nameOf } from "./record.ts";
import { firstCount, nextCount, type SnapshotSettings } from "./snapshot.ts";

export interface ScanSettings extends Pick<SnapshotSettings, "client" | "info" | "standalone" | "chunkBytes"> {
  /** A read that fails may be repeated from its beginning. */
  readonly repeatable: boolean;
}

/** Yields the chunks of one read until the end or until `wanted` documents. */
export type Scan = (signal: AbortSignal, wanted?: number) => AsyncGenerator<Chunk<BsonDocuments>>;

/**
 * Returns a scan. With read concern `snapshot` all documents are true at one time: none is missed or read twice because it
 * was changed meanwhile. The server keeps a snapshot for a limited time only (300 s by default), and has none of capped
 * collections. So a read that cannot be repeated does without, and after a read that loses its snapshot all others do.
 * @throws MongotapError as `readCursor` does, while the chunks are read
 */
export function createScan(settings: ScanSettings): Scan {
  let level = settings.standalone ? "local" : settings.repeatable ? "snapshot" : "majority";
  return async function* scan(signal, wanted = Infinity) {
    let hasYielded = false;
    try {
      for await (const chunk of scanOnce(settings, level, signal, wanted)) {
        hasYielded = true;
        yield chunk;
      }
    } catch (error) {
      const code = serverCodeOf(error);
      const isLost = code === ServerCode.SnapshotTooOld || code === ServerCode.SnapshotUnavailable;
      if (level !== "snapshot" || !isLost) throw error;
      level = "majority";
      if (hasYielded) throw lostSnapshot(settings, error, code);
      yield* scanOnce(settings, level, signal, wanted);
    }
  };
}

async function* scanOnce(
  { client, info: { namespace }, chunkBytes }: ScanSettings,
  level: string,
  signal: AbortSignal,
  wanted: number,
): AsyncGenerator<Chunk<BsonDocuments>> {
  const { collection } = namespace;
  let batchSize = firstCount(chunkBytes);
  const limit = Number.isFinite(wanted) ? { limit: wanted } : {};
  const command = { find: collection, batchSize, ...limit, readConcern: { level }, comment: "mongotap" };
  const next = (documents: BsonDocuments): number => (batchSize = nextCount(documents, batchSize, chunkBytes));
  let documents = 0;
  for await (const reply of cursorReplies({ client, namespace, command, collection, nextCount: next }, signal)) {
    documents += reply.documents.count;
    // Behind the last of `wanted` documents there may be more.
    const done = reply.id === 0n && documents < wanted;
    yield {
      documents: reply.documents,
      ...timeOf(reply),
      progress: { documents, done },
      ...(done ? {} : { partial: true }),
    };
  }
}

function lostSnapshot({ info }: ScanSettings, cause: unknown, code: number): MongotapError {
  const name = nameOf(info.namespace);
  return new MongotapError(
    "connect",
    `${name} takes longer to read than the server keeps a snapshot (server code ${code}): it is read without one`,
    { cause },
  );
}
