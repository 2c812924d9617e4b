/** Opens the change stream of a tail or a capture. */

import type { Settings } from "../config/options.ts";
import type { StartAt } from "../config/value-schemas.ts";
import { isAtLeast } from "../connect/client.ts";
import { MongotapError } from "../errors.ts";
import type { TailSettings } from "../pipeline/tail.ts";
import { AdaptiveBatchSize } from "../source/adaptive-batch.ts";
import { ChangeStream, type StreamSettings } from "../source/change-stream.ts";
import { firstTimeOf } from "../source/cluster-time.ts";
import { LookupStream } from "../source/lookup-stream.ts";
import { nameOf } from "../source/record.ts";
import { canSplit, checkServer, fullDocumentOf, startAfterToken, type StreamStart } from "../source/stream-command.ts";
import type { Invocation } from "./invocation.ts";
import type { Run } from "./copy.ts";

export type ChangeSettings = Pick<Settings, "fullDocument" | "before" | "until">;

/** How long the server may hold an empty reply: the heartbeat of an idle stream. */
const AWAIT_MS = 1_000;

/** @throws MongotapError `unsupported` when the server or one of the collections has no change stream */
export function streamSettings(
  opened: Run,
  { settings, log }: Pick<Invocation<ChangeSettings>, "settings" | "log">,
  startAt: StartAt = { kind: "now" },
): TailSettings {
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
    fullDocument: fullDocumentOf(settings.fullDocument, server, collections),
    beforeImages: settings.before === "auto" && isAtLeast(server, 6) && collections.some((info) => info.images),
    splitLargeEvents: canSplit(server),
    sharded: server.topology === "sharded",
    batchSize: new AdaptiveBatchSize(),
  };
  const isCompleted = settings.fullDocument === "exact";
  return {
    async open(from, signal) {
      const stream = await ChangeStream.open(shape, from ?? startOf(startAt), signal);
      return isCompleted ? new LookupStream(stream, { client, signal }) : stream;
    },
    untilCaughtUp: settings.until !== undefined,
    awaitMs: AWAIT_MS,
  };
}

function noStream(what: string): MongotapError {
  return new MongotapError("unsupported", `${what}: it has no change stream`, { hint: "`backfill` can read it." });
}

function startOf(startAt: StartAt): StreamStart {
  switch (startAt.kind) {
    case "now":
      return "now";
    case "time":
      return { at: firstTimeOf(startAt.seconds) };
    case "token":
      return startAfterToken(startAt.data);
  }
}
