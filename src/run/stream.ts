/** What tail and capture have in common: opening the change stream that the bindings ask for. */

import type { Settings } from "../config/options.ts";
import { isAtLeast, type ServerInfo } from "../connect/client.ts";
import { ServerCode } from "../connect/server-codes.ts";
import { serverCodeOf } from "../connect/server-errors.ts";
import { MongotapError } from "../errors.ts";
import type { TailSettings } from "../pipeline/tail.ts";
import type { CollectionInfo } from "../source/catalog.ts";
import { ChangeStream, type StreamSettings } from "../source/change-stream.ts";
import { firstTimeOf } from "../source/cluster-time.ts";
import { nameOf } from "../source/record.ts";
import { type FullDocument, startAfterToken, type StreamStart } from "../source/stream-command.ts";
import type { Invocation } from "./invocation.ts";
import type { OpenRun } from "./copy.ts";

/** How long the server may hold an empty reply: the heartbeat of an idle stream. */
const AWAIT_MS = 1_000;
const SMALLER_BATCH = 500;

/** @throws MongotapError `unsupported` when the server or one of the collections has no change stream */
export function streamSettings(opened: OpenRun, { settings, log }: Pick<Invocation, "settings" | "log">): TailSettings {
  const { server, client, bindings, collections } = opened;
  checkServer(server);
  const named = new Set(bindings.map((binding) => `${binding.db}.${binding.collection ?? ""}`));
  for (const { type, namespace } of collections) {
    if (type === "collection") continue;
    const what = `${nameOf(namespace)} is a ${type === "view" ? "view" : "time series"}`;
    if (named.has(nameOf(namespace))) throw noStream(what);
    log.info(`${what} without a change stream: left out`);
  }
  const shape: StreamSettings = {
    client,
    bindings,
    fullDocument: fullDocumentOf(settings, server, collections),
    beforeImages: settings.before === "auto" && isAtLeast(server, 6) && collections.some((info) => info.images),
    splitLargeEvents: canSplit(server),
    sharded: server.topology === "sharded",
  };
  let batchSize: number | undefined;
  return {
    async open(from, signal) {
      const stream = await ChangeStream.open({ ...shape, batchSize }, from ?? startOf(settings), signal);
      return withSmallerBatches(stream, () => {
        batchSize = Math.max(1, Math.floor((batchSize ?? SMALLER_BATCH * 2) / 2));
      });
    },
    untilCaughtUp: settings.until !== undefined,
    awaitMs: AWAIT_MS,
  };
}

/** Calls `onTooSlow` when the server ran out of time, so that the next opening asks for less. */
function withSmallerBatches(stream: ChangeStream, onTooSlow: () => void): ChangeStream {
  const next = stream.next.bind(stream);
  stream.next = async (awaitMs) => {
    try {
      return await next(awaitMs);
    } catch (error) {
      if (serverCodeOf(error) === ServerCode.MaxTimeMSExpired) onTooSlow();
      throw error;
    }
  };
  return stream;
}

function checkServer(server: ServerInfo): void {
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

function noStream(what: string): MongotapError {
  return new MongotapError("unsupported", `${what}: it has no change stream`, { hint: "`backfill` can read it." });
}

/** The stage came with 7.0 and 6.0.9; other servers refuse the whole pipeline (40324). */
function canSplit(server: ServerInfo): boolean {
  return isAtLeast(server, 7) || (isAtLeast(server, 6, 0, 9) && !isAtLeast(server, 6, 1));
}

/** The document as it was after each change where every collection keeps it, else as it is when it is looked up. */
function fullDocumentOf(
  { fullDocument }: Settings,
  server: ServerInfo,
  collections: readonly CollectionInfo[],
): FullDocument {
  switch (fullDocument) {
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

function startOf({ startAt }: Settings): StreamStart {
  switch (startAt.kind) {
    case "now":
      return "now";
    case "time":
      return { at: firstTimeOf(startAt.seconds) };
    case "token":
      return startAfterToken(startAt.data);
  }
}
