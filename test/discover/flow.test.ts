/** The Flow catalog: the demands of Flow, and what `mongotap capture --config` reads. */

import { describe, expect, test } from "bun:test";
import { parse } from "yaml";
import { asFlow, type FlowServer, flowServerOf } from "../../src/discover/as-flow.ts";
import { catalogOf, entryOf } from "./catalogs.ts";
import { ORDERS, plainLineOf, VIEW } from "./orders.ts";
import { checkFor } from "./validator.ts";

describe("--as flow", () => {
  const server: FlowServer = { address: "mongodb://db.example.com:27017", user: "flow", hasPassword: true };
  const catalog = catalogOf([entryOf(ORDERS), VIEW]);
  interface Flow {
    readonly captures: Readonly<Record<string, { readonly endpoint: unknown; readonly bindings: readonly unknown[] }>>;
    readonly collections: Readonly<
      Record<string, { readonly key: unknown; readonly writeSchema: object; readonly readSchema: object }>
    >;
  }
  const flow = parse(asFlow(catalog, server)) as Flow;

  test("captures the collections with a change stream, and names the omitted ones", () => {
    expect(flow.captures).toEqual({
      "${PREFIX}/shop/source-mongodb": {
        endpoint: {
          connector: {
            image: "ghcr.io/estuary/source-mongodb:v3",
            config: { address: server.address, database: "shop", user: "flow", password: "${MONGOTAP_PASSWORD}" },
          },
        },
        bindings: [{ resource: { database: "shop", collection: "orders" }, target: "${PREFIX}/shop/orders" }],
      },
    });
    expect(asFlow(catalog, server)).toContain('# Left out: "shop.paid", a view has no changes of its own.\n');
  });

  test("has the ssh server of the tunnel, without its key", () => {
    const text = asFlow(catalog, { ...server, sshEndpoint: "ssh://me@bastion:22" });
    const config = { address: server.address, database: "shop", user: "flow", password: "${MONGOTAP_PASSWORD}" };
    const sshForwarding = { sshEndpoint: "ssh://me@bastion:22", privateKey: "${SSH_PRIVATE_KEY}" };
    expect((parse(text) as Flow).captures["${PREFIX}/shop/source-mongodb"]).toMatchObject({
      endpoint: { connector: { config: { ...config, networkTunnel: { sshForwarding } } } },
    });
  });

  test("has a collection with key and schemas for every target", () => {
    expect(Object.keys(flow.collections)).toEqual(["${PREFIX}/shop/orders"]);
    const spec = flow.collections["${PREFIX}/shop/orders"];
    expect(spec?.key).toEqual(["/_id"]);
    expect(spec?.writeSchema).toMatchObject({ required: ["_id"], "x-infer-schema": true });
    expect(spec?.readSchema).toMatchObject({
      required: ["_id"],
      properties: { _id: { type: "string" }, at: { type: ["null", "string"] }, to: { type: "object" } },
    });
  });

  test("its schemas accept the lines of a capture: documents with _meta, and deletions with a key alone", () => {
    const spec = flow.collections["${PREFIX}/shop/orders"];
    const meta = { op: "c", source: { db: "shop", collection: "orders" }, snapshot: true };
    // The validator does not know the keywords of Flow.
    const withoutOurs = JSON.parse(
      JSON.stringify(spec, (key, value: unknown) =>
        key === "then" || key === "x-infer-schema" || key === "if" ? undefined : value,
      ),
    ) as NonNullable<typeof spec>;
    for (const schema of [withoutOurs.writeSchema, withoutOurs.readSchema]) {
      const check = checkFor(schema);
      for (const document of ORDERS) expect(check({ ...(plainLineOf(document) as object), _meta: meta })).toEqual([]);
      expect(check({ _id: "65f0", _meta: { ...meta, op: "d" } })).toEqual([]);
      expect(check({ _meta: meta })).not.toEqual([]);
      expect(check({ _id: "65f0", _meta: {} })).not.toEqual([]);
    }
  });

  test("marks deletions, so that they can be deleted downstream", () => {
    const { readSchema } = flow.collections["${PREFIX}/shop/orders"] ?? {};
    expect(readSchema).toMatchObject({
      if: { required: ["_meta"], properties: { _meta: { properties: { op: { const: "d" } } } } },
    });
    expect(JSON.stringify(readSchema)).toContain('"then":{"reduce":{"strategy":"merge","delete":true}}');
  });

  test("keeps odd names distinct and valid in Flow", () => {
    const odd = ["a b", "a/b", "größe", "yes"].map((collection) =>
      entryOf([], { info: { namespace: { db: "shop", collection } } }),
    );
    const names = Object.keys((parse(asFlow(catalogOf(odd), server)) as Flow).collections);
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name).toMatch(/^\$\{PREFIX\}\/shop\/[\p{L}\p{N}\-_.]+$/u);
  });
});

describe("the server of a Flow catalog", () => {
  const cases: readonly (readonly [uri: string, shown: string, server: FlowServer])[] = [
    ["mongodb://h:1/", "mongodb://h:1/", { address: "mongodb://h:1", user: undefined, hasPassword: false }],
    [
      "mongodb://a%40b:pw@h:1,i:2/?replicaSet=rs&w=majority",
      "mongodb://h:1,i:2/?replicaSet=rs",
      { address: "mongodb://h:1,i:2/?replicaSet=rs", user: "a@b", hasPassword: true },
    ],
    [
      "mongodb+srv://u:p@h/crm",
      "mongodb+srv://h/crm",
      { address: "mongodb+srv://h/?authSource=crm", user: "u", hasPassword: true },
    ],
    [
      "mongodb://u:p@h/crm?authSource=x",
      "mongodb://h/crm?authSource=x",
      { address: "mongodb://h/?authSource=x", user: "u", hasPassword: true },
    ],
    [
      "mongodb://h/?proxyHost=a&proxyPassword=secret",
      "mongodb://h/?proxyHost=a&proxyPassword=***",
      { address: "mongodb://h/?proxyHost=a", user: undefined, hasPassword: false },
    ],
  ];
  test.each(cases)("%s", (uri, shown, expected) => {
    expect(flowServerOf({ uri, shown })).toEqual(expected);
  });
});
