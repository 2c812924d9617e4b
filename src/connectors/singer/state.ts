/** The state of a Singer tap: a bookmark for each stream. The platform keeps the last one that its target prints. */

import { MongotapError } from "../../errors.ts";
import { isJsonObject } from "../../lib/json-object.ts";
import { parseStreamState, type StreamState } from "../../state/stream-state.ts";

/** By the id of the stream. */
export type Bookmarks = ReadonlyMap<string, unknown>;

/**
 * Takes the value of a STATE, or the message itself. Empty ones have no bookmarks.
 * @throws MongotapError `state` for anything else: to copy everything again without saying so would be wrong
 */
export function parseBookmarks(value: unknown): Bookmarks {
  if (value === undefined || value === null) return new Map();
  const {
    type,
    value: inner,
    bookmarks,
    currently_syncing: _,
    ...others
  } = isJsonObject(value) ? value : { others: value };
  if (type === "STATE") return parseBookmarks(inner);
  if (isJsonObject(bookmarks)) return new Map(Object.entries(bookmarks).filter(([, bookmark]) => !isEmpty(bookmark)));
  const hasMore = type !== undefined || inner !== undefined || Object.keys(others).length > 0;
  if ((bookmarks === undefined || bookmarks === null) && !hasMore) return new Map();
  throw new MongotapError("state", "the state has no bookmarks", {
    hint: "Give the last state that a run has sent, or run with a full refresh.",
  });
}

/** @throws MongotapError `state` for a bookmark that mongotap has not made */
export function stateOf(bookmarks: Bookmarks, id: string): StreamState | undefined {
  const bookmark = bookmarks.get(id);
  return bookmark === undefined ? undefined : parseStreamState(bookmark, id);
}

export function stateMessage(bookmarks: Bookmarks): unknown {
  return { type: "STATE", value: { bookmarks: Object.fromEntries(bookmarks), currently_syncing: null } };
}

function isEmpty(bookmark: unknown): boolean {
  return !isJsonObject(bookmark) || Object.keys(bookmark).length === 0;
}
