/**
 * Random choices that can be repeated. Tests, the demo and the soak run print one seed, and MONGOTAP_TEST_SEED sets it;
 * each user derives its own generator from that seed and a name.
 */

export const SEED_VARIABLE = "MONGOTAP_TEST_SEED";

/** One more than the largest seed: fast-check takes signed 32-bit numbers. */
const SEEDS = 2 ** 31;

/** The seed that `env` sets, or else a new one. Throws if it is set to something else than a whole number below 2³¹. */
export function seedFrom(env: Readonly<Record<string, string | undefined>>): number {
  const text = env[SEED_VARIABLE];
  if (text === undefined || text === "") return Math.floor(Math.random() * SEEDS);
  const seed = Number(text);
  if (!/^\d+$/.test(text) || seed >= SEEDS)
    throw new Error(`${SEED_VARIABLE} must be a whole number from 0 to ${SEEDS - 1}, not ${text}`);
  return seed;
}

/** Random numbers that depend on the seed alone (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The generator for `name`, which is independent of the generators for other names. */
  static for(seed: number, name: string): Random {
    let hash = 0x811c9dc5 ^ seed; // FNV-1a over the UTF-16 units
    for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return new Random(hash);
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 to `below` - 1. */
  whole(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.whole(items.length)] as T;
  }

  /** In [least, most). */
  between(least: number, most: number): number {
    return least + this.next() * (most - least);
  }
}
