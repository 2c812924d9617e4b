import { expect, test } from "bun:test";
import { scopeFor } from "../../src/commands/discover-read.ts";

test("what the server builds under names of its own is in no scope, named or not", () => {
  for (const namespaces of [[], ["shop"], ["shop.*"]]) {
    const scope = scopeFor(namespaces, []);
    expect(scope.has({ db: "shop", collection: "orders" })).toBe(true);
    for (const collection of ["tmp.agg_out.1b2c", "tmpaB3dE.renameCollection", "system.views"])
      expect([namespaces, collection, scope.has({ db: "shop", collection })]).toEqual([namespaces, collection, false]);
  }
});
