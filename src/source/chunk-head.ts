/** Cuts a chunk where a limit ends inside it. */

import { MongotapError, must } from "../errors.ts";
import { keyOf } from "./bson-key.ts";
import type { Chunk } from "./record.ts";

/**
 * The first `count` documents of a chunk (at least 1, not all), with the progress behind the last of them. A range that
 * is not `resumable` gets no last key: its documents may have no `_id`.
 */
export function headOfChunk({ documents, progress, ...rest }: Chunk, count: number, resumable: boolean): Chunk {
  if (documents.kind === "encoded") throw new MongotapError("bug", "a chunk that a worker has encoded cannot be cut");
  const last = must(documents.offsets[count - 1], "the last document of the head");
  return {
    ...rest,
    documents: documents.part(0, count),
    progress: {
      ...progress,
      ...(resumable ? { last: keyOf(documents.bytes, last) } : {}),
      documents: progress.documents - (documents.count - count),
      done: false,
    },
  };
}
