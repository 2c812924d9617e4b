/** The `aggregate` that opens a change stream. */

import { BSON } from "mongodb";

import { includesBinding, matchStages, streamTarget } from "./bindings.ts";
import { toText, toValue } from "./bson-key.ts";
import { timestampOf } from "./cluster-time.ts";
import { type Binding, BEGINNING, type ClusterTime, type StreamPosition } from "./record.ts";
import { tokenTime } from "./resume-token.ts";

/** The server's `fullDocument`: the document of an update as it is now, as the collection kept it, or none. */
export type FullDocument = "updateLookup" | "whenAvailable" | "required" | "default";

export interface StreamShape {
  readonly bindings: readonly Binding[];
  readonly fullDocument: FullDocument;
  /** Ask for the document before each change, where its collection keeps pre-images (6.0). */
  readonly beforeImages: boolean;
  /** Let the server split events that exceed 16 MB (6.0.9, 7.0). */
  readonly splitLargeEvents: boolean;
}

/** Where a stream begins: behind a position, at a time (inclusive), or now. */
export type StreamStart = StreamPosition | { readonly at: ClusterTime } | "now";

/** The position that `from` resumes behind; undefined where it is no position. */
export function resumeOf(from: StreamStart): StreamPosition | undefined {
  return typeof from === "object" && "token" in from ? from : undefined;
}

/** The position behind a token that a user has typed: the `_data` of any event, even an invalidate. */
export function startAfterToken(data: string): StreamPosition {
  const token = toText(BSON.serialize({ _data: data }));
  return { token, resume: "startAfter", time: tokenTime(data.toLowerCase()) ?? BEGINNING, sequence: 0 };
}

/**
 * The bindings that the server must filter by: those of the run, and those that the token was made with, because the
 * server refuses to resume behind an event that the filter hides (280, SERVER-71565).
 */
export function filterBindings(bindings: readonly Binding[], from: StreamStart): readonly Binding[] {
  const before = resumeOf(from)?.filter ?? [];
  return [...bindings, ...before.filter((binding) => !includesBinding(bindings, binding))];
}

export function aggregateCommand(shape: StreamShape, from: StreamStart): Record<string, unknown> {
  const { scope, aggregate } = streamTarget(shape.bindings);
  const stage: Record<string, unknown> = { fullDocument: shape.fullDocument };
  if (scope === "cluster") stage["allChangesForCluster"] = true;
  if (shape.beforeImages) stage["fullDocumentBeforeChange"] = "whenAvailable";
  const position = resumeOf(from);
  if (position) stage[position.resume] = toValue(position.token);
  else if (typeof from === "object" && "at" in from) stage["startAtOperationTime"] = timestampOf(from.at);
  const split = shape.splitLargeEvents ? [{ $changeStreamSplitLargeEvent: {} }] : [];
  return {
    aggregate,
    pipeline: [{ $changeStream: stage }, ...matchStages(shape.bindings), ...split],
    cursor: { batchSize: 0 },
    readConcern: { level: "majority" },
    // Not the collection's own: under a case-insensitive one the filter would also match other names.
    collation: { locale: "simple" },
    comment: "mongotap",
  };
}
