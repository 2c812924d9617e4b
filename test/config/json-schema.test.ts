import { expect, test } from "bun:test";
import { CATALOG_KEYS } from "../../src/config/flow-catalog.ts";
import { ENDPOINT_KEYS } from "../../src/config/endpoint.ts";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import type { OptionRow } from "../../src/config/setting.ts";
import { OPTIONS } from "../../src/config/options.ts";
import { configOf } from "./configs.ts";

type Properties = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const properties = configJsonSchema()["properties"] as Properties;

test("configJsonSchema() has every setting of the table, with its text and type", () => {
  for (const [key, row] of Object.entries<OptionRow>(OPTIONS)) {
    if (row.noKey === true) expect(properties[key]?.["description"], key).not.toBe(row.text);
    else if (!ENDPOINT_KEYS.includes(key)) expect(properties[key], key).toMatchObject({ description: row.text });
  }
  expect(properties["limit"]).toMatchObject({ type: "integer", minimum: 1 });
  expect(properties["fresh"]).toMatchObject({ type: "boolean" });
  expect(properties["format"]).toMatchObject({ enum: ["relaxed", "canonical", "plain"], default: "relaxed" });
  expect(properties["uri"]).toMatchObject({ type: "string", writeOnly: true });
  expect(properties["exclude"]).toMatchObject({ anyOf: [{ type: "string" }, { type: "array" }] });
});

test("configJsonSchema() has the keys of an endpoint and of a catalog", () => {
  expect(Object.keys(properties)).toEqual(
    expect.arrayContaining([...ENDPOINT_KEYS, ...CATALOG_KEYS, "bindings", "config"]),
  );
});

test("a config file takes exactly the keys of the schema", async () => {
  const ofOtherKinds = ["sops", "$schema", "import", "captures", "endpoint"];
  const keys = Object.keys(properties).filter((key) => !ofOtherKinds.includes(key));
  await using config = await configOf(keys.map((key) => `${key}:`).join("\n"));
  await config.resolve();
  await using more = await configOf(`${keys.map((key) => `${key}:`).join("\n")}\nanother:\n`);
  expect((await more.refused()).message).toContain("another is not a setting");
});
