/** The `aggregate` that opens a change stream, and what it may ask of this server and these collections. */

import { BSON as DriverBson } from "mongodb";
import { bindingText, matchStages, streamTarget } from "./bindings.ts";
import { fromText, toText } from "./bson-key.ts";
import { timestampOf } from "./cluster-time.ts";
import { arrayElement, document, documentElement, element, elementsOf, type RawCommand, rawValue } from "./raw-bson.ts";
import { BEGINNING, type Binding, type ClusterTime, type StreamPosition } from "./record.ts";
import { tokenTime } from "./resume-token.ts";
import { BSON } from "../codec/bson.ts";
import { isAtLeast, type ServerInfo } from "../connect/client.ts";
import { MongotapError } from "../errors.ts";
import type { CollectionInfo } from "./catalog.ts";

/**
 * The server's `fullDocument` for updates: the post-image where the collection keeps it, or always, or none. Never
 * `updateLookup`, which shows a later version, and is slower than lookup-stream.ts.
 */
export type FullDocument = "whenAvailable" | "required" | "default";

export interface StreamShape {
  readonly bindings: readonly Binding[];
  readonly fullDocument: FullDocument;
  /** Ask for the document before each change, where its collection keeps pre-images (6.0). */
  readonly beforeImages: boolean;
  /** Let the server split events that exceed 16 MB (6.0.9, 7.0). */
  readonly splitLargeEvents: boolean;
  /** Stages behind those that select the events. */
  readonly stages?: readonly Record<string, unknown>[];
}

/** Where a stream begins: behind a position, behind a token that a user has typed, at a time (inclusive), or now. */
export type StreamStart = StreamPosition | { readonly typed: StreamPosition } | { readonly at: ClusterTime } | "now";

/** The position that `from` resumes behind; undefined where it is no position. */
export function resumeOf(from: StreamStart): StreamPosition | undefined {
  if (from === "now" || "at" in from) return undefined;
  return "typed" in from ? from.typed : from;
}

export function isTyped(from: StreamStart): boolean {
  return typeof from === "object" && "typed" in from;
}

/** The position behind the token with this `_data`: of any event, even an invalidate. */
export function startAfterToken(data: string): StreamPosition {
  const token = toText(DriverBson.serialize({ _data: data }));
  return { token, resume: "startAfter", time: tokenTime(data.toLowerCase()) ?? BEGINNING, sequence: 0 };
}

/**
 * The bindings that the server must filter by: those of the run, and those that the token was made with, because the
 * server refuses to resume behind an event that the filter hides (280, SERVER-71565).
 */
export function filterBindings(bindings: readonly Binding[], from: StreamStart): readonly Binding[] {
  const before = resumeOf(from)?.filter ?? [];
  const known = new Set(before.length === 0 ? [] : bindings.map(bindingText));
  return [...bindings, ...before.filter((binding) => !known.has(bindingText(binding)))];
}

/** The pipeline is raw, because the resume token in it is sent as it came. */
export function aggregateCommand(shape: StreamShape, from: StreamStart): Required<RawCommand> {
  const { scope, aggregate } = streamTarget(shape.bindings);
  const stage: Record<string, unknown> = { fullDocument: shape.fullDocument };
  if (scope === "cluster") stage["allChangesForCluster"] = true;
  if (shape.beforeImages) stage["fullDocumentBeforeChange"] = "whenAvailable";
  const position = resumeOf(from);
  if (typeof from === "object" && "at" in from) stage["startAtOperationTime"] = timestampOf(from.at);
  const token = position ? [element(position.resume, rawValue(BSON.document, fromText(position.token)))] : [];
  const split = shape.splitLargeEvents ? [{ $changeStreamSplitLargeEvent: {} }] : [];
  const stages = [
    document(documentElement("$changeStream", elementsOf(stage), ...token)),
    ...[...matchStages(shape.bindings), ...(shape.stages ?? []), ...split].map((each) => document(elementsOf(each))),
  ];
  const command = {
    aggregate,
    cursor: { batchSize: 0 },
    readConcern: { level: "majority" },
    // Not the collection's own: under a case-insensitive one the filter would also match other names.
    collation: { locale: "simple" },
    comment: "mongotap",
  };
  const pipeline = stages.map((bytes) => rawValue(BSON.document, bytes));
  return { command, rawFields: arrayElement("pipeline", pipeline) };
}

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

/** Post-images are asked for where a collection keeps them: on others the server is twice as slow if it looks for them. */
export function fullDocumentOf(
  wanted: "exact" | "image" | "none",
  server: ServerInfo,
  collections: readonly Pick<CollectionInfo, "images">[],
): FullDocument {
  switch (wanted) {
    case "image":
      return "required";
    case "none":
      return "default";
    case "exact":
      return isAtLeast(server, 6) && collections.some((info) => info.images) ? "whenAvailable" : "default";
  }
}
