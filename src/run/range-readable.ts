/** A collection on the server as a RangeReadable. */

import { collectionUuid, type CollectionInfo } from "../source/catalog.ts";
import { readInSubRanges } from "../source/sub-ranges.ts";
import type { NonEmpty, RangeProgress } from "../source/record.ts";
import { scanWhole } from "../source/scan.ts";
import { readRange } from "../source/snapshot.ts";
import type { RangeReadable } from "../pipeline/backfill.ts";
import type { OpenRun } from "./copy.ts";

type Needed = Pick<OpenRun, "client" | "server" | "throttle" | "readers">;

/** `ranges`: those of a collection that is split (ranges.ts). */
export function rangeReadableOf(
  { client, server, throttle, readers }: Needed,
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
    read(progress, signal, limit, notBefore) {
      const settings = { client, info, standalone, notBefore, chunkBytes };
      if (!resumable) return throttle.throttled(scanWhole(settings, signal, limit), signal);
      // With a limit, sub-ranges would read more than is wanted.
      if (Number.isFinite(limit)) return throttle.throttled(readRange(settings, progress, signal, limit), signal);
      return readInSubRanges({ ...settings, reader, throttle }, progress, signal);
    },
    currentUuid: () => collectionUuid(client, info.namespace),
  };
}
