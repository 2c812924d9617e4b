/**
 * Inserts, updates, replaces and deletes orders until it is stopped, and keeps a ledger of every write that the majority
 * of the members has acknowledged.
 */

import type { Collection, ObjectId } from "mongodb";
import { Random } from "../lib/random.ts";
import { newOrder, type Order, randomUpdate } from "./orders.ts";

/** Insert, update, delete: the letters of `_meta.op`. */
export type Operation = "c" | "u" | "d";

/** The acknowledged writes of each order, in the order in which they were made. */
export class Ledger {
  readonly byKey = new Map<string, string>();
  readonly counts: Record<Operation, number> = { c: 0, u: 0, d: 0 };

  note(key: ObjectId, operation: Operation): void {
    const hex = key.toHexString();
    this.byKey.set(hex, (this.byKey.get(hex) ?? "") + operation);
    this.counts[operation] += 1;
  }
}

export interface Writer {
  readonly ledger: Ledger;
  /** Resolves when every write that was begun is acknowledged and in the ledger; rejects when one failed. */
  stop(): Promise<void>;
}

/** Clerks write concurrently. Each order belongs to one clerk, which makes one write after another. */
const CLERKS = 16;
/** Pause between two writes of a clerk, so that the demo runs on a small machine. */
const PAUSE_MS = 2;

/** `orders` writes with majority write concern and holds the documents `keys`. */
export function startWriter(orders: Collection<Order>, keys: readonly ObjectId[], seed: number): Writer {
  const ledger = new Ledger();
  const state = { stopped: false, nextNumber: keys.length };
  const clerks = Array.from({ length: CLERKS }, (_, clerk) =>
    work(
      orders,
      keys.filter((_key, i) => i % CLERKS === clerk),
      ledger,
      state,
      Random.for(seed, `clerk ${clerk}`),
    ),
  );
  const all = Promise.all(clerks);
  all.catch(() => undefined); // stop() throws it
  return {
    ledger,
    async stop() {
      state.stopped = true;
      await all;
    },
  };
}

async function work(
  orders: Collection<Order>,
  live: ObjectId[],
  ledger: Ledger,
  state: { stopped: boolean; nextNumber: number },
  random: Random,
): Promise<void> {
  const deleted: ObjectId[] = [];
  while (!state.stopped) {
    const chance = random.next();
    const next = (): number => (state.nextNumber += 1);
    if (chance < 0.5) await update(orders, random.pick(live), random, ledger);
    else if (chance < 0.7) live.push(await insert(orders, newOrder(random, next()), ledger));
    else if (chance < 0.75) await replace(orders, newOrder(random, next(), random.pick(live)), ledger);
    else if (chance < 0.95) deleted.push(await remove(orders, takeFrom(live, random), ledger));
    else if (deleted.length > 0) {
      // An order that was deleted is inserted again with its old key.
      live.push(await insert(orders, newOrder(random, next(), takeFrom(deleted, random)), ledger));
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function insert(orders: Collection<Order>, order: Order, ledger: Ledger): Promise<ObjectId> {
  await orders.insertOne(order);
  ledger.note(order._id, "c");
  return order._id;
}

async function update(orders: Collection<Order>, key: ObjectId, random: Random, ledger: Ledger): Promise<void> {
  const { modifiedCount } = await orders.updateOne({ _id: key }, randomUpdate(random));
  expectOne(modifiedCount);
  ledger.note(key, "u");
}

async function replace(orders: Collection<Order>, { _id, ...order }: Order, ledger: Ledger): Promise<void> {
  const { modifiedCount } = await orders.replaceOne({ _id }, order);
  expectOne(modifiedCount);
  ledger.note(_id, "u");
}

async function remove(orders: Collection<Order>, key: ObjectId, ledger: Ledger): Promise<ObjectId> {
  const { deletedCount } = await orders.deleteOne({ _id: key });
  expectOne(deletedCount);
  ledger.note(key, "d");
  return key;
}

/** Removes a random key from the list and returns it; its order does not matter. */
function takeFrom(keys: ObjectId[], random: Random): ObjectId {
  const at = random.whole(keys.length);
  const key = keys[at];
  const last = keys.pop();
  if (key === undefined || last === undefined) throw new Error("a clerk has no orders left");
  if (at < keys.length) keys[at] = last;
  return key;
}

function expectOne(count: number): void {
  if (count !== 1) throw new Error(`the demo's own write changed ${count} documents, not 1`);
}
