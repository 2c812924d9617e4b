/** A collection of the server as something that can be read by ranges. */

import type { Connection } from "../connect/client.ts";
import { collectionUuid, type CollectionInfo } from "../source/catalog.ts";
import { scanWhole } from "../source/scan.ts";
import { readRange } from "../source/snapshot.ts";
import type { Readable } from "../pipeline/backfill.ts";

export function readableOf({ client, server }: Connection, info: CollectionInfo): Readable {
  const standalone = server.topology === "standalone";
  const resumable = info.type === "collection";
  return {
    namespace: info.namespace,
    uuid: info.uuid,
    resumable,
    read(progress, signal, limit, notBefore) {
      const settings = { client, info, standalone, notBefore };
      return resumable ? readRange(settings, progress, signal, limit) : scanWhole(settings, signal, limit);
    },
    currentUuid: () => collectionUuid(client, info.namespace),
  };
}
