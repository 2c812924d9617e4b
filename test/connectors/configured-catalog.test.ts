/** The catalog that Airbyte's clients configure, and what is taken for one by mistake. */

import { expect, test } from "bun:test";
import { parseConfiguredCatalog } from "../../src/connectors/airbyte/configured-catalog.ts";
import { MongotapError } from "../../src/errors.ts";

const STREAM = { name: "shop.a", json_schema: {} };

function refusalOf(value: unknown): string {
  try {
    parseConfiguredCatalog(value, "--catalog c.json");
  } catch (error) {
    if (error instanceof MongotapError) return `${error.message} | ${error.hint}`;
  }
  throw new Error("not refused");
}

test("the mode says whether changes are read", () => {
  const of = (sync_mode: string): unknown => ({ streams: [{ stream: STREAM, sync_mode }] });
  expect(parseConfiguredCatalog(of("incremental"), "it")).toMatchObject([{ wantsChanges: true }]);
  expect(parseConfiguredCatalog(of("full_refresh"), "it")).toMatchObject([{ wantsChanges: false }]);
});

test.each([
  [{ type: "CATALOG", catalog: { streams: [STREAM] } }],
  [{ catalog: { streams: [] } }],
  [{ streams: [STREAM] }],
])("what discover prints is recognised, and the message says what to make of it: %j", (value) => {
  const refusal = refusalOf(value);
  expect(refusal).toStartWith("--catalog c.json is a catalog as discover prints it: no stream is configured");
  expect(refusal).toContain('{"streams": [{"stream": {…}, "sync_mode": "incremental"');
});

test.each([
  [undefined, "--catalog c.json lacks its content"],
  [{}, "--catalog c.json lacks streams"],
  [{ streams: {} }, "--catalog c.json has something other than a list in streams"],
  [{ streams: [{ stream: STREAM }] }, "--catalog c.json lacks streams.0.sync_mode"],
  [
    { streams: [{ stream: STREAM, sync_mode: "foo" }] },
    "--catalog c.json has something other than incremental or full_refresh in streams.0.sync_mode",
  ],
  [
    { streams: [{ stream: { name: 1 }, sync_mode: "incremental" }] },
    "something other than text in streams.0.stream.name",
  ],
])("%j is refused in plain words", (value, says) => {
  const refusal = refusalOf(value);
  expect(refusal).toContain(says);
  expect(refusal).not.toMatch(/Expected|received|undefined|Invalid/);
});
