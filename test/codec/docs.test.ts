import { readFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { BSON } from "../../src/codec/bson.ts";
import { createTranscoder, type Format, type TranscoderOptions } from "../../src/codec/transcode.ts";
import { EXAMPLES } from "./examples.ts";
import { field, int32, prefixed, rawDocument, utf8 } from "./raw-bson.ts";
import { jsonOf, MAKERS } from "./transcoders.ts";

const page = readFileSync(new URL("../../docs/json.md", import.meta.url), "utf8");

/** The cells of the table below `header`. */
function rowsBehind(header: string): string[][] {
  const lines = page.split("\n");
  const begin = lines.findIndex((line) => line.startsWith(header)) + 2;
  const end = lines.findIndex((line, index) => index >= begin && !line.startsWith("|"));
  return lines.slice(begin, end).map((line) => line.slice(2, -2).split(" | "));
}

const textOf = (cell = ""): string => cell.replace(/^`(.*)`$/, "$1");

describe("docs/json.md", () => {
  const rows = rowsBehind("| type |");

  test("has a row for each example, and for every type of BSON", () => {
    expect(rows.map(([name]) => name)).toEqual(Object.keys(EXAMPLES));
    const types = new Set<number>(Object.values(EXAMPLES).map((value) => value.type));
    expect(types).toEqual(new Set<number>(Object.values(BSON)));
  });

  for (const [maker, make] of MAKERS) {
    test(`shows what ${maker} writes`, () => {
      for (const [name = "", relaxed, canonical, plain] of rows) {
        const value = EXAMPLES[name];
        if (value === undefined) throw new Error(`no example for ${name}`);
        const bytes = rawDocument([{ name: utf8("a"), value }]);
        const expected: Record<Format, string> = {
          relaxed: textOf(relaxed),
          canonical: textOf(canonical === "same" ? relaxed : canonical),
          plain: textOf(plain === "same" ? relaxed : plain),
        };
        for (const format of ["relaxed", "canonical", "plain"] as const) {
          expect(jsonOf(make({ format }), bytes)).toBe(`{"a":${expected[format]}}`);
        }
      }
    });
  }

  test("shows what arrays and documents as text are", () => {
    const text = (name: string, value: string) => field(name, BSON.string, prefixed(utf8(value)));
    const one = (name: string) => field(name, BSON.int32, int32(1));
    const bytes = rawDocument([
      field("tags", BSON.array, rawDocument([text("0", "a"), text("1", "b")])),
      field(
        "addr",
        BSON.document,
        rawDocument([text("city", "Oslo"), field("to", BSON.array, rawDocument([one("0")]))]),
      ),
      field("lines", BSON.array, rawDocument([field("0", BSON.document, rawDocument([one("q")]))])),
    ]);
    const shown = rowsBehind("| `--arrays` |").map(([, , line]) => textOf(line));
    const options: TranscoderOptions[] = [
      { format: "relaxed", arrays: "array" },
      { format: "relaxed", arrays: "string" },
      { format: "relaxed", arrays: "array", documents: "string" },
      { format: "relaxed", arrays: "string", documents: "string" },
    ];
    expect(options.map((option) => jsonOf(createTranscoder(option), bytes))).toEqual(shown);
    expect(jsonOf(createTranscoder({ format: "relaxed" }), bytes)).toBe(shown[0] ?? "");
  });
});
