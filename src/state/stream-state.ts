/**
 * The state of one stream of a platform, which keeps it for us and returns it as it was: the position of the change stream,
 * and how far the collection has been copied. Each stream has a position of its own, because a platform may ask for other
 * streams with each run.
 */

import * as v from "valibot";

import { MongotapError, must } from "../errors.ts";
import { mismatchText } from "../lib/mismatch.ts";
import type { CollectionState, Position, StreamPosition } from "../source/record.ts";
import { collectionState, count, type DeepReadonly, source, streamPosition } from "./checkpoint.ts";

const FORMAT_VERSION = 1;

const schema = v.object({
  formatVersion: v.literal(FORMAT_VERSION),
  source,
  /** Absent: the collection was copied, or did not exist, and has been dropped: the stream has what comes later. */
  collection: v.exactOptional(collectionState),
  stream: v.exactOptional(streamPosition),
  copies: v.exactOptional(count),
  losses: v.exactOptional(count),
  /** The platform's own number of this copy, and of the run that began it. */
  generation: v.exactOptional(v.number()),
  sync: v.exactOptional(v.number()),
  /** The version of its rows (Singer). */
  version: v.exactOptional(v.number()),
  /** The next run makes earlier versions void once more (Singer). */
  activate: v.exactOptional(v.literal(true)),
  /** Its collection (`db.collection`), where the name of the stream does not say it (Singer). */
  namespace: v.exactOptional(v.string()),
});

export interface StreamState extends DeepReadonly<v.InferOutput<typeof schema>> {}

/** @throws MongotapError `state` for a state that mongotap has not made; `stream` names it in messages */
export function parseStreamState(value: unknown, stream: string): StreamState {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new MongotapError(
    "state",
    `the state of the stream ${stream} is not one of mongotap: it ${mismatchText({ ...issue, path: v.getDotPath(issue) })}`,
    { hint: "Reset the stream in the platform, so that it is copied again." },
  );
}

/** What a run begins with. */
export interface Resumption {
  /** The earliest position of all streams, with the states of all collections. */
  readonly position: Position | undefined;
  /** By `db.collection`, the token up to which the changes of a stream have been sent, where it is later. */
  readonly sentUpTo: ReadonlyMap<string, StreamPosition>;
}

/** `states` by `db.collection`. `dataOf` returns the `_data` of a token: later ones sort later. */
export function resumptionOf(
  states: ReadonlyMap<string, StreamState>,
  dataOf: (position: StreamPosition) => string,
): Resumption {
  const open = [...states].flatMap(([name, { stream }]) => (stream === undefined ? [] : [[name, stream] as const]));
  if (states.size === 0) return { position: undefined, sentUpTo: new Map() };
  const earliest = open.reduce<StreamPosition | undefined>(
    (first, [, stream]) => (first === undefined || dataOf(stream) < dataOf(first) ? stream : first),
    undefined,
  );
  const sentUpTo = new Map(open.filter(([, stream]) => dataOf(stream) > dataOf(must(earliest, "a position"))));
  const collections: Record<string, CollectionState> = {};
  for (const [name, { collection }] of states) if (collection !== undefined) collections[name] = collection;
  const largest = (key: "copies" | "losses"): number => Math.max(0, ...[...states.values()].map((s) => s[key] ?? 0));
  const [copies, losses] = [largest("copies"), largest("losses")];
  const position = {
    collections,
    ...(earliest === undefined ? {} : { stream: earliest }),
    ...(copies === 0 ? {} : { copies }),
    ...(losses === 0 ? {} : { losses }),
  };
  return { position, sentUpTo };
}

/**
 * Whether the stream of `name` is ahead of `reached`: it keeps its state until the others have come as far, also where their
 * history is lost.
 */
export function isAhead(
  { sentUpTo }: Resumption,
  name: string,
  reached: StreamPosition | undefined,
  dataOf: (position: StreamPosition) => string,
): boolean {
  const ahead = sentUpTo.get(name);
  return ahead !== undefined && (reached === undefined || dataOf(reached) < dataOf(ahead));
}

/** The state of the collection `name` at `position`. */
export function streamStateOf(
  position: Position,
  name: string,
  more: Pick<StreamState, "source"> &
    Partial<Pick<StreamState, "generation" | "sync" | "version" | "activate" | "namespace">>,
): StreamState {
  const { [name]: collection } = position.collections;
  const { stream, copies, losses } = position;
  return {
    formatVersion: FORMAT_VERSION,
    ...more,
    ...(collection === undefined ? {} : { collection }),
    ...(stream === undefined ? {} : { stream }),
    ...(copies === undefined ? {} : { copies }),
    ...(losses === undefined ? {} : { losses }),
  };
}
