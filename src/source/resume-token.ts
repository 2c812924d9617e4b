/**
 * What is read from a resume token: its cluster time, whether it is a high-water mark, and the UUID of the collection. The
 * token itself is opaque: it is saved and sent back unchanged.
 *
 * `_data` is a KeyString in hex: `82`, 4 bytes seconds, 4 bytes increment, then `2b` and the version, then `29…`
 * for a high-water mark or `2c…` for an event, of which `5a1004` begins the UUID of the collection (seen on 5.0 and 6.0; https://github.com/mongodb/mongo/blob/master/src/mongo/db/pipeline/resume_token.h).
 */

import { BSON, ElementWalker } from "../codec/bson.ts";
import { type ClusterTime, isClusterTime } from "./record.ts";

const DATA = new TextEncoder().encode("_data");
const decoder = new TextDecoder("latin1");

/** `_data` of the token at `at`; empty where the token has another form (servers that are compatible with MongoDB). */
export function tokenData(bytes: Uint8Array, at = 0): string {
  const walker = new ElementWalker();
  walker.start(bytes, at);
  while (walker.next()) {
    if (walker.type === BSON.string && walker.nameIs(DATA)) {
      return decoder.decode(bytes.subarray(walker.valueBegin + 4, walker.valueEnd - 1)).toLowerCase();
    }
  }
  return "";
}

/** The cluster time in a token; undefined where the token has another form. */
export function tokenTime(data: string): ClusterTime | undefined {
  const time = data.slice(2, 18);
  return data.startsWith("82") && isClusterTime(time) ? time : undefined;
}

/** Whether the token is a high-water mark: the server has scanned the oplog up to and including its time. */
export function isHighWater(data: string): boolean {
  return /^82[0-9a-f]{16}2b0[0-9a-f]29/.test(data);
}

/**
 * The place of an event among all: its time, and its number within its transaction. The same for every change stream, and for a
 * fragment. Undefined where the token has another form.
 */
export function tokenPlace(data: string): string | undefined {
  return /^82((?:[0-9a-f]{2}){8,16}?)5a1004/.exec(data)?.[1];
}

/** The UUID of the collection of an event, as hex; undefined where the token has another form. */
export function tokenUuid(data: string): string | undefined {
  return /^82(?:[0-9a-f]{2}){8,16}?5a1004([0-9a-f]{32})/.exec(data)?.[1];
}
