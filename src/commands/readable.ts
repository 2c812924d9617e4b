/** A collection of the server as something that can be read by ranges. */

import { collectionUuid, type CollectionInfo } from "../source/catalog.ts";
import { readInPieces } from "../source/pieces.ts";
import type { RangeProgress } from "../source/record.ts";
import { scanWhole } from "../source/scan.ts";
import { readRange } from "../source/snapshot.ts";
import type { Readable } from "../pipeline/backfill.ts";
import type { Opened } from "./session.ts";

type Needed = Pick<Opened, "client" | "server" | "pace" | "readers">;

/** `ranges`: what the collection has been cut into, if it was (ranges.ts). */
export function readableOf(
  { client, server, pace, readers }: Needed,
  info: CollectionInfo,
  ranges?: readonly RangeProgress[],
): Readable {
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
      if (!resumable) return pace.paced(scanWhole(settings, signal, limit), signal);
      // So few are wanted that reading ahead would be for nothing.
      if (Number.isFinite(limit)) return pace.paced(readRange(settings, progress, signal, limit), signal);
      return readInPieces({ ...settings, reader, pace }, progress, signal);
    },
    currentUuid: () => collectionUuid(client, info.namespace),
  };
}
