/** The main job of a program that was installed somewhere: to copy a collection. */

import { expect } from "bun:test";
import { testDatabase } from "../support/replica-set.ts";
import type { Outcome } from "./bare-root.ts";

interface Order {
  readonly _id: number;
  readonly status: string;
  readonly lines: readonly { readonly article: string; readonly count: number }[];
}

/** Copies a collection with `run`, and compares the lines with what the server has. */
export async function expectBackfill(
  run: (args: readonly string[], env: Readonly<Record<string, string>>) => Outcome,
): Promise<void> {
  const { db, name, uri } = await testDatabase();
  const orders = db.collection<Order>("orders");
  const documents = Array.from({ length: 1000 }, (_, number) => ({
    _id: number,
    status: number % 7 === 0 ? "cancelled – stürmisch" : "new",
    lines: [{ article: `a${number}`, count: number }],
  }));
  await orders.insertMany(documents);
  const { code, stdout, stderr } = run(["backfill", `${name}.orders`, "--log-level", "warn"], { MONGOTAP_URI: uri });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.split("\n").slice(0, -1);
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual(await orders.find().sort({ _id: 1 }).toArray());
}
