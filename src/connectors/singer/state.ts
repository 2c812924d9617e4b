/** The state of a Singer tap: a bookmark for each stream. The platform keeps the last one that its target prints. */

import { parseStreamState, type StreamState } from "../../state/stream-state.ts";

/** By the id of the stream. */
export type Bookmarks = ReadonlyMap<string, unknown>;

export function parseBookmarks(value: unknown): Bookmarks {
  const bookmarks =
    typeof value === "object" && value !== null ? (value as { bookmarks?: unknown }).bookmarks : undefined;
  if (typeof bookmarks !== "object" || bookmarks === null) return new Map();
  return new Map(Object.entries(bookmarks).filter(([, bookmark]) => !isEmpty(bookmark)));
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
  return typeof bookmark !== "object" || bookmark === null || Object.keys(bookmark).length === 0;
}
