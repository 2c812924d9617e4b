/** What tail and capture have in common: opening the change stream that the bindings ask for. */

import { MongotapError } from "../errors.ts";
import { firstTimeOf } from "../source/cluster-time.ts";
import { ChangeStream, type StreamStart } from "../source/change-stream.ts";
import { nameOf } from "../source/record.ts";
import type { TailSettings } from "../pipeline/tail.ts";
import type { Settings } from "../config/options.ts";
import { isAtLeast } from "../connect/client.ts";
import type { Opened } from "./session.ts";
import { toText } from "../source/bson-key.ts";
import { BSON } from "mongodb";

/** How long the server may hold an empty reply: the heartbeat of an idle stream. */
const AWAIT_MS = 1_000;

/** @throws MongotapError `unsupported` when the server or one of the collections has no change stream */
export function streamSettings(opened: Opened, settings: Settings): TailSettings {
  const { server, client, bindings, collections } = opened;
  if (server.topology === "standalone") {
    throw new MongotapError("unsupported", "this server is standalone: change streams need a replica set or a sharded cluster", {
      hint: "Start mongod with --replSet and run rs.initiate(); a set of one member is enough. `backfill` works as it is.",
    });
  }
  if (!isAtLeast(server, 5)) throw new MongotapError("unsupported", `the server is ${server.version.join(".")}: 5.0 or newer is needed`);
  const named = new Set(bindings.map((binding) => `${binding.db}.${binding.collection ?? ""}`));
  for (const { type, namespace } of collections) {
    if (type === "collection" || !named.has(nameOf(namespace))) continue;
    throw new MongotapError("unsupported", `${nameOf(namespace)} is a ${type === "view" ? "view" : "time series"}: it has no change stream`, {
      hint: "`backfill` can read it.",
    });
  }
  const beforeImages = isAtLeast(server, 6) && collections.some((info) => info.images);
  const stream = { client, bindings, beforeImages, sharded: server.topology === "sharded" };
  return {
    open: (from, signal) => ChangeStream.open(stream, from ?? startOf(settings), signal),
    untilCaughtUp: settings.until !== undefined,
    awaitMs: AWAIT_MS,
  };
}

function startOf({ startAt }: Settings): StreamStart {
  switch (startAt.kind) {
    case "now":
      return "now";
    case "time":
      return { at: firstTimeOf(startAt.seconds) };
    case "token": {
      const token = toText(BSON.serialize({ _data: startAt.data }));
      return { token, resume: "startAfter", time: startAt.data.slice(2, 18).toLowerCase(), sequence: 0 };
    }
  }
}
