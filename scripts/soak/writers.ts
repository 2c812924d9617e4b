/**
 * Writers that record every acknowledged write. Each write of a key carries the next number of that key in the field `v`.
 * After a write whose outcome is unknown its key is not written again, and either outcome is accepted.
 */

import type { Collection } from "mongodb";
import type { Random } from "../lib/random.ts";

export interface Numbered {
  readonly _id: string;
  readonly v: number;
  readonly text: string;
}

/** The writes of one key. */
export interface KeyHistory {
  /** Letters of the acknowledged writes: c, u, d, in their order. */
  acknowledged: string;
  /** The letter of the last write if its outcome is unknown. */
  unknown: string | undefined;
  /** Whether it was first written before the capture had pinned its position. */
  readonly early: boolean;
  /** The number of the last write. */
  v: number;
  alive: boolean;
}

export type History = Map<string, KeyHistory>;

export interface Writers {
  readonly history: History;
  /** Call it when the capture has pinned its position: keys from now on are not `early`. */
  pinned(): void;
  pause(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
}

interface Gate {
  paused: boolean;
  stopped: boolean;
  idle: number;
  early: boolean;
}

const WRITERS = 6;
const TEXTS = ["plain", "ü – 高橋 🎁", 'quotes " and \\ and\nlines', "x".repeat(700)];

/** Writes to `collection` with majority write concern until stopped. Keys are `<prefix><writer>-<n>`. */
export function startWriters(collection: Collection<Numbered>, prefix: string, random: Random): Writers {
  const history: History = new Map();
  const gate: Gate = { paused: false, stopped: false, idle: 0, early: true };
  const all = Array.from({ length: WRITERS }, (_, i) => work(collection, `${prefix}${i}-`, history, gate, random));
  const done = Promise.all(all);
  done.catch(() => undefined); // stop() throws it
  return {
    history,
    pinned() {
      gate.early = false;
    },
    async pause() {
      gate.paused = true;
      while (gate.idle < WRITERS) await sleep(5);
    },
    resume() {
      gate.paused = false;
    },
    async stop() {
      gate.stopped = true;
      await done;
    },
  };
}

async function work(
  collection: Collection<Numbered>,
  prefix: string,
  history: History,
  gate: Gate,
  random: Random,
): Promise<void> {
  const keys: string[] = [];
  let made = 0;
  while (!gate.stopped) {
    if (gate.paused) {
      gate.idle += 1;
      while (gate.paused && !gate.stopped) await sleep(5);
      gate.idle -= 1;
      continue;
    }
    const key = keys.length === 0 || random.next() < 0.4 ? `${prefix}${(made += 1)}` : random.pick(keys);
    if (!history.has(key)) {
      history.set(key, { acknowledged: "", unknown: undefined, v: 0, alive: false, early: gate.early });
      keys.push(key);
    }
    await writeOnce(collection, key, history.get(key) as KeyHistory, random);
    if (history.get(key)?.unknown !== undefined) keys.splice(keys.indexOf(key), 1);
    await sleep(random.whole(4));
  }
}

async function writeOnce(
  collection: Collection<Numbered>,
  key: string,
  known: KeyHistory,
  random: Random,
): Promise<void> {
  const letter = known.alive ? (random.next() < 0.25 ? "d" : "u") : "c";
  const v = known.v + 1;
  try {
    if (letter === "c") await collection.insertOne({ _id: key, v, text: random.pick(TEXTS) });
    else if (letter === "u") await collection.updateOne({ _id: key }, { $set: { v, text: random.pick(TEXTS) } });
    else await collection.deleteOne({ _id: key });
    known.acknowledged += letter;
    known.v = v;
    known.alive = letter !== "d";
  } catch {
    known.unknown = letter; // a retried write may or may not have happened
    known.v = v;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
