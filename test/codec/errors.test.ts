import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BSON, ElementWalker } from "../../src/codec/bson.ts";
import { JsonWriter } from "../../src/codec/json-writer.ts";
import { createTranscoder } from "../../src/codec/transcode.ts";
import { MongotapError } from "../../src/errors.ts";
import {
  anyDocument,
  brokenDocument,
  concat,
  field,
  int32,
  oneField,
  prefixed,
  rawDocument,
  utf8,
} from "./raw-bson.ts";
import { ALL_OPTIONS, jsonOf, MAKERS, outcomeOf } from "./transcoders.ts";
import { runs } from "./runs.ts";

const nothing = new Uint8Array(0);
const hex = (digits: string): Uint8Array =>
  Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** Corrupt documents as hex, with their messages. */
const CORRUPT: readonly (readonly [string, string])[] = [
  ["", "byte 0: document is cut short"],
  ["05000000", "byte 0: document is cut short"],
  ["0400000000", "byte 0: document of 4 bytes, 5 are there"],
  ["ffffffff00", "byte 0: document of -1 bytes, 5 are there"],
  ["0600000000", "byte 0: document of 6 bytes, 5 are there"],
  ["0500000001", "byte 4: document without its final NUL"],
  ["07000000000000", "byte 6: unknown type 0x00"],
  ["0800000010616100", "byte 5: text without an end"],
  ["0800000080610000", 'byte 7: unknown type 0x80 (in "a")'],
  ["090000000862000200", 'byte 7: boolean that is neither 0 nor 1 (in "b")'],
  ["0c0000001261001234567800", 'byte 7: int64 does not fit its document (in "a")'],
  ["0c0000000261000000000000", 'byte 7: string does not fit its document (in "a")'],
  ["0e00000002610002000000626200", 'byte 12: string without its final NUL (in "a")'],
  ["0d000000057800ffffffff0000", 'byte 7: binary of -1 bytes does not fit its document (in "x")'],
  ["13000000057800060000000203000000ffff00", 'byte 12: binary of subtype 2 with a wrong inner length (in "x")'],
];

for (const [maker, make] of MAKERS) {
  describe(`${maker}: a corrupt document`, () => {
    test("is an error with the reason and the byte", () => {
      for (const [digits, message] of CORRUPT) {
        expect(outcomeOf(make({ format: "relaxed" }), hex(digits))).toBe(`error: corrupt BSON at ${message}`);
      }
    });

    test("is an error with the path and the _id", () => {
      const bad = concat(int32(99), utf8("x\0"));
      const inner = rawDocument([
        field("0", BSON.null, nothing),
        field("1", BSON.document, rawDocument([field("b.c", BSON.string, bad)])),
      ]);
      const bytes = rawDocument([
        field("_id", BSON.string, prefixed(utf8("k\n\u2028"))),
        field("a", BSON.array, inner),
      ]);
      expect(outcomeOf(make({ format: "relaxed" }), bytes)).toBe(
        'error: corrupt BSON at byte 41: string of 99 bytes does not fit its document (in "a.1.b.c", _id "k\\n\\u2028")',
      );
      const behind = concat(new Uint8Array(100).fill(0xff), bytes);
      expect(() => jsonOf(make({ format: "relaxed" }), behind, 100)).toThrow("at byte 41: string");
    });

    test("is an error of one line, whatever its names are", () => {
      const bytes = rawDocument([field("\n\u001b[31m\u0085\u009b", BSON.boolean, Uint8Array.of(2))]);
      const outcome = outcomeOf(make({ format: "relaxed" }), bytes);
      expect(outcome).toEndWith('(in "\\n\\u001b[31m\\u0085\\u009b")');
    });

    test("does not change the writer or the counts", () => {
      const transcoder = make({ format: "relaxed" });
      const writer = new JsonWriter();
      fc.assert(
        fc.property(brokenDocument, fc.boolean(), (bytes, asMembers) => {
          writer.reset();
          writer.writeAscii("before");
          const { invalidUtf8 } = transcoder.counts;
          try {
            if (asMembers) transcoder.writeMembers(writer, bytes, 0);
            else transcoder.writeDocument(writer, bytes, 0);
          } catch (error) {
            expect(error).toBeInstanceOf(MongotapError);
            expect(new TextDecoder().decode(writer.view())).toBe("before");
            expect(transcoder.counts.invalidUtf8).toBe(invalidUtf8);
          }
        }),
        runs(250),
      );
    });

    test("is an error or one line of valid JSON, for any bytes and options", () => {
      fc.assert(
        fc.property(
          fc.oneof(brokenDocument, fc.uint8Array({ maxLength: 60 })),
          fc.constantFrom(...ALL_OPTIONS),
          (bytes, options) => {
            const outcome = outcomeOf(make(options), bytes);
            expect(outcome).not.toMatch(/[\n\r\u0085\u2028\u2029]/);
            if (!outcome.startsWith("error: ")) JSON.parse(outcome);
          },
        ),
        runs(500),
      );
    });
  });

  describe(`${maker}: a document nested deep`, () => {
    /** `levels` nested documents or arrays, with `inside` in the innermost. */
    function nest(levels: number, type: number, inside: Uint8Array): Uint8Array {
      const all = new Uint8Array(levels * 8 + inside.length);
      const view = new DataView(all.buffer);
      for (let level = 0; level < levels; level++) {
        view.setInt32(level * 7, all.length - level * 8, true);
        all.set([type, 0x61, 0], level * 7 + 4);
      }
      all.set(inside, levels * 7);
      return all;
    }

    test("of 100, 1,000, 1,500 and 200,000 levels is written", () => {
      for (const levels of [100, 1000, 1023, 1024, 1025, 1500, 200_000]) {
        const documents = nest(levels, BSON.document, rawDocument([]));
        const expected = `${'{"a":'.repeat(levels)}{}${"}".repeat(levels)}`;
        expect(jsonOf(make({ format: "relaxed" }), documents) === expected).toBe(true);
        const arrays = nest(levels, BSON.array, rawDocument([]));
        const brackets = `{"a":${"[".repeat(levels)}${"]".repeat(levels)}}`;
        expect(jsonOf(make({ format: "relaxed", arrays: "array" }), arrays) === brackets).toBe(true);
      }
    });

    test("and corrupt at its bottom is an error", () => {
      const bytes = nest(20_000, BSON.document, oneField(BSON.boolean, Uint8Array.of(2)));
      expect(() => jsonOf(make({ format: "relaxed" }), bytes)).toThrow(
        /^corrupt BSON at byte 140007: boolean .*a\.a\.a.*…"\)$/,
      );
    });
  });
}

describe("ElementWalker", () => {
  test("finds exactly the elements of the document", () => {
    fc.assert(
      fc.property(anyDocument, (bytes) => {
        const walker = new ElementWalker();
        const around = concat(Uint8Array.of(1, 2, 3), bytes, Uint8Array.of(4));
        walker.start(around, 3, 3 + bytes.length);
        let last = 3 + 4;
        while (walker.next()) {
          expect(walker.nameBegin).toBe(last + 1);
          expect(around[walker.nameEnd]).toBe(0);
          expect(walker.nameIs(around.slice(walker.nameBegin, walker.nameEnd))).toBe(true);
          expect(walker.nameIs(around.slice(walker.nameBegin, walker.nameEnd + 1))).toBe(false);
          last = walker.valueEnd;
        }
        expect(last).toBe(3 + bytes.length - 1);
      }),
      runs(100),
    );
  });

  test("throws MongotapError or walks to the end, for any bytes", () => {
    fc.assert(
      fc.property(brokenDocument, (bytes) => {
        const walker = new ElementWalker();
        try {
          walker.start(bytes, 0);
          while (walker.next()) expect(walker.valueEnd).toBeLessThan(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(MongotapError);
        }
      }),
      runs(250),
    );
  });
});

describe("writeMembers()", () => {
  test("writes the text between the braces, and returns whether there is any", () => {
    fc.assert(
      fc.property(anyDocument, (bytes) => {
        const transcoder = createTranscoder({ format: "relaxed" });
        const writer = new JsonWriter();
        writer.writeAscii(",");
        const isAny = transcoder.writeMembers(writer, bytes, 0);
        const inside = jsonOf(transcoder, bytes).slice(1, -1);
        expect(new TextDecoder("utf-8", { ignoreBOM: true }).decode(writer.view())).toBe(`,${inside}`);
        expect(isAny).toBe(inside !== "");
      }),
      runs(100),
    );
  });
});
