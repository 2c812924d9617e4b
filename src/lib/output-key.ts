/** Output keys: which output a line belongs to, and what an output holds. */

/**
 * - `collection`: the lines of one collection. `namespace` is `db.collection`; for events of the raw envelope that are not
 *   about a collection it is `db` alone, or empty.
 * - `partition`: the lines of one partition (`--split`) of a collection, counted from 0.
 * - `quarantine`: the documents that cannot be carried.
 * - `everything`: all lines, whatever they are about: a single file, or a pipe.
 *
 * Keys are plain data: threads send them to each other, and the state holds them. Two keys are equal if their ids are.
 */
export type OutputKey =
  | { readonly kind: "collection"; readonly namespace: string }
  | { readonly kind: "partition"; readonly namespace: string; readonly partition: number }
  | { readonly kind: "quarantine" }
  | { readonly kind: "everything" };

export const QUARANTINE: OutputKey = { kind: "quarantine" };
export const EVERYTHING: OutputKey = { kind: "everything" };

/** Returns the key of the collection `namespace`, or of one of its partitions. */
export function outputKeyOf(namespace: string, partition?: number): OutputKey {
  return partition === undefined ? { kind: "collection", namespace } : { kind: "partition", namespace, partition };
}

/** Returns the id of `key`, unique among all keys. Makes a string: call it for each output of a batch, not for each line. */
export function idOf(key: OutputKey): string {
  switch (key.kind) {
    case "collection":
      return `collection:${key.namespace}`;
    case "partition":
      return `partition:${key.partition}:${key.namespace}`;
    case "quarantine":
    case "everything":
      return key.kind;
  }
}

/** Keeps the memory of a `CollectionKeys` bounded. */
const MOST_KEYS = 10_000;

/**
 * Makes the keys of collections, the same object for the same namespace again and again: code that goes through lines can
 * compare keys by reference. Equal keys may still be different objects, here after MOST_KEYS namespaces.
 */
export class CollectionKeys {
  readonly #known = new Map<string, OutputKey>();
  #lastNamespace: string | undefined;
  #lastKey: OutputKey = EVERYTHING;

  of(namespace: string): OutputKey {
    if (namespace === this.#lastNamespace) return this.#lastKey;
    let key = this.#known.get(namespace);
    if (key === undefined) {
      if (this.#known.size >= MOST_KEYS) this.#known.clear();
      key = outputKeyOf(namespace);
      this.#known.set(namespace, key);
    }
    this.#lastNamespace = namespace;
    this.#lastKey = key;
    return key;
  }
}
