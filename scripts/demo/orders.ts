/** Made-up orders of a shop, and how they change. */

import { Decimal128, Double, ObjectId } from "mongodb";
import type { Random } from "../lib/random.ts";

export interface Order {
  readonly _id: ObjectId;
  readonly number: number;
  readonly status: string;
  readonly placed: Date;
  readonly customer: { readonly name: string; readonly email: string; readonly city: string };
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly cents: number }[];
  readonly total: Decimal128;
  readonly weight: Double;
  readonly note: string | null;
  readonly revision: number;
}

const NAMES = [
  "Ada Øvergård",
  "Björn Weiß",
  "Chloé Lefèvre",
  "Δήμητρα Παππά",
  "Ivan Петров",
  "高橋 花子",
  "Zoë O'Brien",
];
const CITIES = ["Oslo", "Köln", "Lyon", "Αθήνα", "Москва", "大阪", "Galway"];
const STATES = ["new", "paid", "packed", "shipped", "returned"] as const;
const NOTES = [null, null, "leave it at the door", 'says "ring twice"', "tab\tand\nnewline", "🎁 gift wrap, please"];

export function newOrder(random: Random, number: number, _id = new ObjectId()): Order {
  const lines = Array.from({ length: 1 + random.whole(4) }, () => ({
    sku: `SKU-${100_000 + random.whole(900_000)}`,
    quantity: 1 + random.whole(5),
    cents: 100 + random.whole(20_000),
  }));
  const total = lines.reduce((sum, { quantity, cents }) => sum + quantity * cents, 0);
  return {
    _id,
    number,
    status: "new",
    placed: new Date(Date.now() - random.whole(90 * 86_400_000)),
    customer: {
      name: random.pick(NAMES),
      email: `customer${random.whole(50_000)}@example.com`,
      city: random.pick(CITIES),
    },
    lines,
    total: Decimal128.fromString((total / 100).toFixed(2)),
    weight: new Double(random.whole(20_000) / 1000),
    note: random.pick(NOTES),
    revision: 0,
  };
}

/** An update that changes the order in any case, so that the change stream has an event for it. */
export function randomUpdate(random: Random): object {
  return { $set: { status: random.pick(STATES), changed: new Date() }, $inc: { revision: 1 } };
}
