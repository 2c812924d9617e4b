/** Adapts a collection of the server to the interface that the pipeline reads ranges from. */

import type { RangeReadable } from "../pipeline/backfill.ts";
import { collectionUuid, type CollectionInfo } from "../source/catalog.ts";
import { headOfChunk } from "../source/chunk-head.ts";
import type { NonEmpty, RangeProgress } from "../source/record.ts";
import { scanWhole } from "../source/scan.ts";
import { readRange } from "../source/snapshot.ts";
import { readInSubRanges } from "../source/sub-ranges.ts";
import type { Run } from "./copy.ts";

/** `ranges`: the ranges that this process reads, if the collection was split (ranges.ts). */
export function rangeReadableOf(
  { client, server, throttle, readers }: Pick<Run, "client" | "server" | "throttle" | "readers">,
  info: CollectionInfo,
  ranges?: NonEmpty<RangeProgress>,
): RangeReadable {
  const standalone = server.topology === "standalone";
  const { reader, chunkBytes } = readers;
  const resumable = info.type === "collection";
  return {
    namespace: info.namespace,
    uuid: info.uuid,
    resumable,
    ranges,
    read(progress, signal, wanted, notBefore) {
      const settings = { client, info, standalone, notBefore, chunkBytes };
      if (!resumable) return throttle.throttled(scanWhole(settings, signal, wanted), signal);
      // Under a limit no sub-range is read ahead, and no worker encodes, so that a chunk can be cut.
      if (Number.isFinite(wanted)) return throttle.throttled(readRange(settings, progress, signal, wanted), signal);
      return readInSubRanges({ ...settings, reader, throttle }, progress, signal);
    },
    head: (chunk, count) => headOfChunk(chunk, count, resumable),
    currentUuid: () => collectionUuid(client, info.namespace),
  };
}
