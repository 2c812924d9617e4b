/** A page of made-up collections: usual ones, odd ones, and one with HTML markup in its names. */

import { ObjectId, serialize } from "bson";
import { documents } from "../../test/support/documents.ts";
import { asHtml } from "../../src/discover/as-html.ts";
import type { CatalogEntry } from "../../src/discover/catalog.ts";
import { StructureBuilder } from "../../src/discover/structure.ts";

const MARKUP = `"'><script>globalThis.hacked=1</script><img src=x onerror=globalThis.hacked=1>`;

export function samplePage(): string {
  const orders = [...documents("typical", 1_000)].map((document, i) => ({
    ...document,
    ...(i % 50 === 0 ? { total: 12.5 } : {}),
    ...(i % 7 === 0 ? { coupon: `X${i}`, discount: { percent: i % 2 === 0 ? 5 : "five", reason: null } } : {}),
    ...(i % 90 === 0 ? { legacy: /a/ } : {}),
  }));
  const scores = Array.from({ length: 300 }, (_, i) => ({
    _id: new ObjectId(),
    player: `player ${i}`,
    by: { [new ObjectId().toHexString()]: { points: i, at: new Date(i * 1e9) } },
  }));
  const hostile = [{ _id: 1, [MARKUP]: MARKUP, ["n".repeat(200)]: { [MARKUP]: [MARKUP, "x".repeat(500)] } }];
  const entries = [
    entryOf("shop", "orders", orders),
    entryOf("shop", "scores", scores),
    entryOf("shop", "users", [...documents("small", 400)]),
    entryOf("zoo", MARKUP, hostile),
  ];
  const at = new Date().toISOString();
  return asHtml(
    { version: "0.0.0", namespaces: ["shop", "zoo"], exclude: [], at, entries },
    "mongodb://db.example.com:27017/?replicaSet=rs0",
  );
}

function entryOf(db: string, collection: string, found: readonly object[]): CatalogEntry {
  const builder = new StructureBuilder("shown");
  let bytes = 0;
  for (const document of found) {
    const encoded = serialize(document);
    bytes += encoded.length;
    builder.add(encoded);
  }
  const isOdd = collection === MARKUP;
  return {
    info: {
      namespace: { db, collection },
      type: isOdd ? "view" : "collection",
      uuid: null,
      capped: false,
      clustered: false,
      images: collection === "orders",
      options: {},
    },
    documents: isOdd ? null : found.length * 120,
    bytes: isOdd ? null : bytes * 120,
    options: isOdd ? { viewOn: "orders", pipeline: [{ $match: { [MARKUP]: MARKUP } }] } : {},
    noStream: isOdd ? "a view has no changes of its own" : null,
    sampled: { how: "random", documents: found.length, bytes, cut: null, structure: builder.finish() },
    failure: null,
  };
}
