/** A collection of the server as something that can be read by ranges. */

import type { Connection } from "../connect/client.ts";
import { collectionUuid, type CollectionInfo } from "../source/catalog.ts";
import { scanWhole } from "../source/scan.ts";
import { readRange } from "../source/snapshot.ts";
import type { Readable } from "../pipeline/backfill.ts";
import type { Pace } from "../pipeline/pace.ts";

/**
 * Chunks large enough that a round trip does not matter (docs/decisions/004-chunks.md), small enough that all that are
 * under way at once, as BSON and as JSON, and what waits for the collector, stay within `maxMemory` (bytes).
 */
function chunkBytesFor(maxMemory: number): number {
  return Math.max(LEAST_CHUNK, Math.min(MOST_CHUNK, Math.floor(maxMemory / CHUNKS_IN_MEMORY)));
}

const LEAST_CHUNK = 64 * 1024;
const MOST_CHUNK = 4 * 1024 * 1024;
const CHUNKS_IN_MEMORY = 60;

export function readableOf(
  { client, server }: Connection,
  info: CollectionInfo,
  maxMemory: number,
  pace: Pace,
): Readable {
  const standalone = server.topology === "standalone";
  const chunkBytes = Math.min(chunkBytesFor(maxMemory), pace.chunkBytes);
  const resumable = info.type === "collection";
  return {
    namespace: info.namespace,
    uuid: info.uuid,
    resumable,
    read(progress, signal, limit, notBefore) {
      const settings = { client, info, standalone, notBefore, chunkBytes };
      const chunks = resumable ? readRange(settings, progress, signal, limit) : scanWhole(settings, signal, limit);
      return pace.paced(chunks, signal);
    },
    currentUuid: () => collectionUuid(client, info.namespace),
  };
}
