/** Assigns documents to the keys that they were read by. A document whose key is not that of the event is not taken. */

import { BSON, ElementWalker } from "../codec/bson.ts";
import { equalKeys, keyText } from "./equal-keys.ts";
import type { KeyHistory, ShardKeyField } from "./key-history.ts";
import type { RawValue } from "./raw-bson.ts";

const ID = new TextEncoder().encode("_id");

const walker = new ElementWalker();

/** Something that is wanted of one document. */
interface Owner {
  readonly history: KeyHistory;
}

/**
 * A query can return documents with other keys: under the collation of a collection `a` equals `A`, and several shards may
 * have documents with one `_id`. Each document has one owner at most.
 */
export class KeyMatcher<T extends Owner> {
  readonly #byText = new Map<string, T>();
  /** Further owners of the same `_id`: of several shards. */
  readonly #more: T[] = [];

  constructor(owners: readonly T[]) {
    for (const owner of owners) {
      const { idText } = owner.history;
      if (this.#byText.has(idText)) this.#more.push(owner);
      else this.#byText.set(idText, owner);
    }
  }

  /** The owner of the document at `begin`; undefined where its key is none of theirs. */
  ownerOf(bytes: Uint8Array, begin: number): T | undefined {
    const id = valueAt(bytes, begin, ID);
    if (id === undefined) return undefined;
    const text = keyText(id);
    const first = this.#byText.get(text);
    if (first === undefined || hasShardKey(bytes, begin, first)) return first;
    return this.#more.find((owner) => owner.history.idText === text && hasShardKey(bytes, begin, owner));
  }
}

function hasShardKey(bytes: Uint8Array, begin: number, { history }: Owner): boolean {
  const { shardKey } = history;
  return shardKey.every((field) => hasField(bytes, begin, field));
}

/** Whether the document has the field of the shard key with the same value; a field that it lacks is null there. */
function hasField(bytes: Uint8Array, begin: number, { path, value }: ShardKeyField): boolean {
  let at = begin;
  const names = path.split(".");
  for (const [i, name] of names.entries()) {
    const found = valueAt(bytes, at, Buffer.from(name, "latin1"));
    if (found === undefined) return value.type === BSON.null;
    if (i === names.length - 1) return equalKeys(found, value);
    if (found.type !== BSON.document) return false;
    at = found.begin;
  }
  return false;
}

function valueAt(bytes: Uint8Array, at: number, name: Uint8Array): RawValue | undefined {
  walker.start(bytes, at);
  while (walker.next()) {
    if (walker.nameIs(name)) return { type: walker.type, bytes, begin: walker.valueBegin, end: walker.valueEnd };
  }
  return undefined;
}
