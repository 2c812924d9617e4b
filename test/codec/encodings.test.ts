import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BSON } from "../../src/codec/bson.ts";
import { JsonWriter } from "../../src/codec/json-writer.ts";
import type { TranscoderOptions } from "../../src/codec/transcode.ts";
import { anyFields, double, field, int32, int64, prefixed, rawDocument, type RawField, utf8 } from "./raw-bson.ts";
import { jsonOf, MAKERS } from "./transcoders.ts";
import { runs } from "./runs.ts";

const nothing = new Uint8Array(0);
const text = (name: string, value: string): RawField => field(name, BSON.string, prefixed(utf8(value)));
const one = (name: string): RawField => field(name, BSON.int32, int32(1));
const list = (name: string, ...elements: RawField[]): RawField => field(name, BSON.array, rawDocument(elements));
const nested = (name: string, ...fields: RawField[]): RawField => field(name, BSON.document, rawDocument(fields));

/** A document with the cases of Streamkap's encodings. */
const DOCUMENT = rawDocument([
  one("n"),
  list("tags", text("0", "a"), text("1", 'b"')),
  list("mix", one("0"), text("1", "x"), nested("2", field("k", BSON.boolean, Uint8Array.of(1)))),
  list("empty"),
  nested("addr", text("city", "Oslo"), nested("geo", field("lat", BSON.double, double(59.9)))),
]);

for (const [maker, make] of MAKERS) {
  const json = (options: Omit<TranscoderOptions, "format">, bytes = DOCUMENT): string =>
    jsonOf(make({ format: "plain", ...options }), bytes);

  describe(`${maker}: arrays and documents as text`, () => {
    test("change nothing without options", () => {
      expect(json({})).toBe(
        '{"n":1,"tags":["a","b\\""],"mix":[1,"x",{"k":true}],"empty":[],"addr":{"city":"Oslo","geo":{"lat":59.9}}}',
      );
    });

    test("make each array a string that holds its JSON", () => {
      expect(json({ arrays: "string" })).toBe(
        '{"n":1,"tags":"[\\"a\\",\\"b\\\\\\"\\"]","mix":"[1,\\"x\\",{\\"k\\":true}]","empty":"[]",' +
          '"addr":{"city":"Oslo","geo":{"lat":59.9}}}',
      );
    });

    test("make each outermost nested document a string", () => {
      expect(json({ documents: "string" })).toBe(
        '{"n":1,"tags":["a","b\\""],"mix":[1,"x","{\\"k\\":true}"],"empty":[],' +
          '"addr":"{\\"city\\":\\"Oslo\\",\\"geo\\":{\\"lat\\":59.9}}"}',
      );
    });

    test("escape once: the string of a value is the JSON of that value", () => {
      fc.assert(
        fc.property(anyFields, fc.constantFrom("relaxed", "canonical", "plain"), (all, format) => {
          // A scope is not the value of a field: it stays an object, and the containers inside it become strings.
          const fields = all.filter(({ value }) => value.type !== BSON.codeWithScope);
          const bytes = rawDocument(fields);
          const strings = make({ format, arrays: "string", documents: "string" });
          const asIs = make({ format });
          const line = jsonOf(strings, bytes);
          JSON.parse(line);
          const expected = fields.map((one_) => {
            const name = jsonOf(asIs, rawDocument([{ name: one_.name, value: { type: BSON.null, body: nothing } }]));
            const writer = new JsonWriter();
            asIs.writeValue(writer, one_.value.body, one_.value.type, 0, one_.value.body.length);
            const value = new TextDecoder("utf-8", { ignoreBOM: true }).decode(writer.view());
            const isNested = one_.value.type === BSON.document || one_.value.type === BSON.array;
            return `${name.slice(1, -"null}".length)}${isNested ? value.replaceAll(/["\\]/g, "\\$&").replace(/^.*$/s, '"$&"') : value}`;
          });
          expect(line).toBe(`{${expected.join(",")}}`);
        }),
        runs(100),
      );
    });

    test("apply to writeValue()", () => {
      const writer = new JsonWriter();
      const body = rawDocument([one("0")]);
      const strings = make({ format: "plain", arrays: "string", documents: "string" });
      strings.writeValue(writer, body, BSON.array, 0, body.length);
      strings.writeValue(writer, body, BSON.document, 0, body.length);
      strings.writeDocument(writer, body, 0);
      expect(new TextDecoder().decode(writer.view())).toBe('"[1]""{\\"0\\":1}"{"0":1}');
    });
  });

  describe(`${maker}: arrays of one type`, () => {
    const numbers = [one("0"), field("1", BSON.double, double(1)), field("2", BSON.int64, int64(1n))];

    test("an array of mixed types is an error with the path and the types", () => {
      expect(() => json({ arrays: "array" })).toThrow(
        'array at byte 46 with elements of different types: int32, string, document (in "mix")',
      );
      const deep = rawDocument([field("_id", BSON.int32, int32(7)), nested("a", list("b", list("0", ...numbers)))]);
      expect(() => json({ arrays: "array" }, deep)).toThrow('int32, double, int64 (in "a.b.0", _id 7)');
    });

    test("null goes with any type, and an empty array is allowed", () => {
      const bytes = rawDocument([
        list("a", field("0", BSON.null, nothing), one("1"), field("2", BSON.null, nothing), one("3")),
        list("b"),
      ]);
      expect(json({ arrays: "array" }, bytes)).toBe('{"a":[null,1,null,1],"b":[]}');
    });

    test("the rule ends inside a document that becomes a string", () => {
      const bytes = rawDocument([nested("a", list("b", ...numbers))]);
      expect(json({ arrays: "array", documents: "string" }, bytes)).toBe('{"a":"{\\"b\\":[1,1.0,1]}"}');
      expect(() => json({ arrays: "array" }, bytes)).toThrow("int32, double, int64");
    });

    test("the rule continues after a nested array", () => {
      const inner = rawDocument([list("a", list("0", text("0", "x")), list("1", one("0")), list("2"))]);
      expect(json({ arrays: "array" }, inner)).toBe('{"a":[["x"],[1],[]]}');
      const outer = rawDocument([list("a", list("0", text("0", "x")), one("1"))]);
      expect(() => json({ arrays: "array" }, outer)).toThrow("array, int32");
    });
  });
}
