/** What a change stream may ask of this server and these collections. */

import { isAtLeast, type ServerInfo } from "../connect/client.ts";
import { MongotapError } from "../errors.ts";
import type { CollectionInfo } from "./catalog.ts";
import type { FullDocument } from "./stream-command.ts";

/** @throws MongotapError `unsupported` where the server has no change streams, or is older than 5.0 */
export function checkServer(server: ServerInfo): void {
  if (server.topology === "standalone") {
    throw new MongotapError(
      "unsupported",
      "this server is standalone: change streams need a replica set or a sharded cluster",
      {
        hint: "Start mongod with --replSet and run rs.initiate(); a set of one member is enough. `backfill` works as it is.",
      },
    );
  }
  if (!isAtLeast(server, 5))
    throw new MongotapError("unsupported", `the server is ${server.version.join(".")}: 5.0 or newer is needed`);
}

/** `$changeStreamSplitLargeEvent` came with 7.0 and 6.0.9; other servers refuse the whole pipeline (40324). */
export function canSplit(server: ServerInfo): boolean {
  return isAtLeast(server, 7) || (isAtLeast(server, 6, 0, 9) && !isAtLeast(server, 6, 1));
}

/** `auto`: as it was after the update where every collection keeps images, else as it is when the server looks it up. */
export function fullDocumentOf(
  wanted: "auto" | "lookup" | "image" | "none",
  server: ServerInfo,
  collections: readonly Pick<CollectionInfo, "images">[],
): FullDocument {
  switch (wanted) {
    case "lookup":
      return "updateLookup";
    case "image":
      return "required";
    case "none":
      return "default";
    case "auto":
      return isAtLeast(server, 6) && collections.length > 0 && collections.every((info) => info.images)
        ? "whenAvailable"
        : "updateLookup";
  }
}
