/** Documents and lines for the tests of catalogs. */

import { Decimal128, Double, ObjectId, serialize } from "bson";
import { createTranscoder } from "../../src/codec/transcode.ts";
import { jsonOf } from "../codec/transcoders.ts";
import { entryOf } from "./catalogs.ts";

const plain = createTranscoder({ format: "plain" });

/** The line of a document in `--format plain`, parsed. */
export function plainLineOf(document: object | Uint8Array): unknown {
  return JSON.parse(jsonOf(plain, document instanceof Uint8Array ? document : serialize(document)));
}

export const ORDERS = [
  {
    _id: new ObjectId(),
    at: new Date(0),
    total: Decimal128.fromString("1.5"),
    n: 1,
    mixed: 1,
    nothing: null,
    rate: new Double(1),
    to: { city: "Oslo", zip: null },
    lines: [{ sku: 1 }],
    odd: new Double(Number.NaN),
  },
  { _id: new ObjectId(), at: null, mixed: "x", n: new Double(1.5), odd: new Double(2) },
];

export const VIEW = entryOf([{ n: 1 }], {
  info: { type: "view", namespace: { db: "shop", collection: "paid" } },
  noStream: "a view has no changes of its own",
});
