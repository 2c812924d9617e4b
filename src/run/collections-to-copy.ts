/** Which collections a capture copies before it has only their changes to read. */

import { isAllLive } from "../pipeline/position.ts";
import { isBound } from "../source/bindings.ts";
import { type CollectionInfo, resolveBindings } from "../source/catalog.ts";
import { type Binding, nameOf, type Position } from "../source/record.ts";
import type { Run } from "./copy.ts";

export interface BoundCollections extends Pick<Run, "client" | "bindings" | "collections"> {
  /** What the run that made the position has read. */
  readonly before: readonly Binding[];
}

/**
 * The collections to copy from a position on. A stream that begins now has nothing of what exists; the catalog is read behind
 * its beginning, so that no collection is in neither. A stream that goes on has every collection that was created behind the
 * position, so a copy would repeat it; but an earlier run may have left one out, because only some collections were named
 * or this one was excluded. Views and time series have no changes. `isFirst`: the run has yielded nothing so far.
 */
export async function collectionsToCopy(
  { client, bindings, collections, before }: BoundCollections,
  position: Position,
  isFirst: boolean,
): Promise<CollectionInfo[]> {
  const goesOn = position.stream !== undefined;
  const mustBeCopied = ({ type, namespace }: CollectionInfo): boolean => {
    if (type !== "collection") return false;
    const state = position.collections[nameOf(namespace)];
    if (state !== undefined) return state.phase !== "live";
    return !goesOn || (isFirst && !isBound(before, namespace));
  };
  if (goesOn && isFirst) return collections.filter(mustBeCopied);
  if (goesOn && isAllLive(position)) return [];
  return (await resolveBindings(client, bindings, () => true)).filter(mustBeCopied);
}

/** What a run says about a capped collection that it copies. */
export function cappedText({ namespace }: CollectionInfo): string {
  return `${nameOf(namespace)} is capped and has no snapshot reads: its copied documents and the changes of the same time are in no certain order`;
}
