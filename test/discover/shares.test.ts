/** Shares as text and in JSON: rounding never turns nearly all into all, or hardly any into none. */

import { expect, test } from "bun:test";
import { asJson } from "../../src/discover/as-json.ts";
import { asTable, percentOf } from "../../src/discover/as-table.ts";
import { catalogOf, entryOf } from "./catalogs.ts";

/** `all` is in every document, `most` in all but one, `one` in one. */
const DOCUMENTS = Array.from({ length: 30_000 }, (_, i) => ({ all: 1, ...(i === 7 ? { one: 1 } : { most: 1 }) }));
const catalog = catalogOf([entryOf(DOCUMENTS)], ["shop.orders"]);

test("in a table, 100 % is all and 0 % is none", () => {
  const shares = [...asTable(catalog).matchAll(/^(all|most|one) +(.*%)/gm)].map(([, name, share]) => [name, share]);
  expect(shares).toEqual([
    ["all", "100 %"],
    ["most", ">99 %"],
    ["one", "<1 %"],
  ]);
  expect([0, 0.005, 0.01, 0.995, 1].map(percentOf)).toEqual(["0 %", "<1 %", "1 %", ">99 %", "100 %"]);
});

test("in JSON, 1 is all and 0 is none", () => {
  const { collections } = JSON.parse(asJson(catalog)) as { collections: { fields: { presence: number }[] }[] };
  expect(collections[0]?.fields.map(({ presence }) => presence)).toEqual([1, 0.9999, 0.0001]);
});
