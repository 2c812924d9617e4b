/**
 * Puts events together that the server has split because they are above 16 MB: `$changeStreamSplitLargeEvent` sends
 * them in fragments of whole top-level fields, each with a token of its own. Resuming from the token of a fragment
 * begins with the next fragment, so a position is never taken between two.
 * https://www.mongodb.com/docs/manual/reference/operator/aggregation/changeStreamSplitLargeEvent/
 */

import { BSON, ElementWalker, readInt32 } from "../codec/bson.ts";
import { MongotapError } from "../errors.ts";
import type { BsonDocuments } from "./record.ts";
import { ReplyDocuments, ReplyMemory } from "./reply-memory.ts";

const SPLIT = new TextEncoder().encode("splitEvent");
const ID = new TextEncoder().encode("_id");
const FRAGMENT = new TextEncoder().encode("fragment");
const OF = new TextEncoder().encode("of");

interface Fragment {
  readonly fragment: number;
  readonly of: number;
}

/** Keeps the fragments of one event until the last has come. */
export class SplitEvents {
  #parts: Uint8Array[] = [];
  #of = 0;

  /** Whether an event is half here: no position may be taken now. */
  get isOpen(): boolean {
    return this.#parts.length > 0;
  }

  /**
   * The batch with whole events only; the same object where nothing was split.
   * @throws MongotapError `data` when fragments do not follow each other
   */
  join(documents: BsonDocuments): BsonDocuments {
    const { bytes, offsets } = documents;
    const fragments = offsets.map((offset) => fragmentOf(bytes, offset));
    if (!this.isOpen && fragments.every((fragment) => fragment === undefined)) return documents;
    const whole: Uint8Array[] = [];
    for (const [i, offset] of offsets.entries()) {
      const event = bytes.subarray(offset, offset + readInt32(bytes, offset));
      const joined = this.#take(event, fragments[i]);
      if (joined) whole.push(joined);
    }
    return concatenated(whole);
  }

  #take(event: Uint8Array, part: Fragment | undefined): Uint8Array | undefined {
    const expected = this.#parts.length + 1;
    if (part === undefined && !this.isOpen) return event;
    if (part === undefined || part.fragment !== expected || (this.isOpen && part.of !== this.#of)) {
      throw new MongotapError(
        "data",
        `a split change event came in disorder: fragment ${part?.fragment ?? "(none)"} where ${expected} was due`,
      );
    }
    this.#of = part.of;
    this.#parts.push(event.slice());
    if (part.fragment < part.of) return undefined;
    const joined = joinParts(this.#parts);
    this.#parts = [];
    return joined;
  }
}

function fragmentOf(bytes: Uint8Array, at: number): Fragment | undefined {
  const walker = new ElementWalker();
  walker.start(bytes, at);
  while (walker.next()) {
    if (walker.type !== BSON.document || !walker.nameIs(SPLIT)) continue;
    const inner = new ElementWalker();
    let fragment = 0;
    let of = 0;
    inner.start(bytes, walker.valueBegin);
    while (inner.next()) {
      if (inner.type !== BSON.int32) continue;
      if (inner.nameIs(FRAGMENT)) fragment = readInt32(bytes, inner.valueBegin);
      else if (inner.nameIs(OF)) of = readInt32(bytes, inner.valueBegin);
    }
    return { fragment, of };
  }
  return undefined;
}

/** One document of all fields; the token is the last fragment's, so that resuming goes on behind the whole event. */
function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  const walker = new ElementWalker();
  for (const [i, part] of parts.entries()) {
    walker.start(part, 0);
    while (walker.next()) {
      if (walker.nameIs(SPLIT) || (walker.nameIs(ID) && i < parts.length - 1)) continue;
      pieces.push(part.subarray(walker.nameBegin - 1, walker.valueEnd));
    }
  }
  const length = pieces.reduce((sum, piece) => sum + piece.length, 5);
  const joined = new Uint8Array(length);
  new DataView(joined.buffer).setInt32(0, length, true);
  let at = 4;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

function concatenated(events: readonly Uint8Array[]): BsonDocuments {
  const bytes = new Uint8Array(events.reduce((sum, event) => sum + event.length, 0));
  const offsets: number[] = [];
  let at = 0;
  for (const event of events) {
    bytes.set(event, at);
    offsets.push(at);
    at += event.length;
  }
  return new ReplyDocuments(new ReplyMemory(bytes, true), offsets);
}
