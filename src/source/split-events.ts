/**
 * Joins events that the server has split because they exceed 16 MB: `$changeStreamSplitLargeEvent` sends fragments of
 * whole top-level fields, each with its own token. Resuming from the token of a fragment begins with the next fragment,
 * so no position is taken between two.
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
  /** From 1. */
  readonly number: number;
  readonly of: number;
}

/** Holds the fragments of one event until the last has arrived. */
export class SplitEvents {
  #fragments: Uint8Array[] = [];
  #of = 0;

  /** Whether an event is half received: no position may be taken then. */
  get isOpen(): boolean {
    return this.#fragments.length > 0;
  }

  /**
   * The whole events; the same object where no event was split.
   * @throws MongotapError `data` when fragments are out of order
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
    return concatenate(whole);
  }

  #take(event: Uint8Array, fragment: Fragment | undefined): Uint8Array | undefined {
    const expected = this.#fragments.length + 1;
    if (fragment === undefined && !this.isOpen) return event;
    if (fragment === undefined || fragment.number !== expected || (this.isOpen && fragment.of !== this.#of)) {
      throw new MongotapError(
        "data",
        `a split change event came in disorder: fragment ${fragment?.number ?? "(none)"} where ${expected} was due`,
      );
    }
    this.#of = fragment.of;
    this.#fragments.push(event.slice());
    if (fragment.number < fragment.of) return undefined;
    const joined = joinFragments(this.#fragments);
    this.#fragments = [];
    return joined;
  }
}

function fragmentOf(bytes: Uint8Array, at: number): Fragment | undefined {
  const walker = new ElementWalker();
  walker.start(bytes, at);
  while (walker.next()) {
    if (walker.type !== BSON.document || !walker.nameIs(SPLIT)) continue;
    const inner = new ElementWalker();
    let number = 0;
    let of = 0;
    inner.start(bytes, walker.valueBegin);
    while (inner.next()) {
      if (inner.type !== BSON.int32) continue;
      if (inner.nameIs(FRAGMENT)) number = readInt32(bytes, inner.valueBegin);
      else if (inner.nameIs(OF)) of = readInt32(bytes, inner.valueBegin);
    }
    return { number, of };
  }
  return undefined;
}

/** One document of all fields, with the token of the last fragment: resuming from it begins behind the whole event. */
function joinFragments(fragments: readonly Uint8Array[]): Uint8Array {
  const fields: Uint8Array[] = [];
  const walker = new ElementWalker();
  for (const [i, fragment] of fragments.entries()) {
    walker.start(fragment, 0);
    while (walker.next()) {
      if (walker.nameIs(SPLIT) || (walker.nameIs(ID) && i < fragments.length - 1)) continue;
      fields.push(fragment.subarray(walker.nameBegin - 1, walker.valueEnd));
    }
  }
  const length = fields.reduce((sum, field) => sum + field.length, 5);
  const joined = new Uint8Array(length);
  new DataView(joined.buffer).setInt32(0, length, true);
  let at = 4;
  for (const field of fields) {
    joined.set(field, at);
    at += field.length;
  }
  return joined;
}

function concatenate(events: readonly Uint8Array[]): BsonDocuments {
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
