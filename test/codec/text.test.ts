import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BSON } from "../../src/codec/bson.ts";
import { JsonWriter } from "../../src/codec/json-writer.ts";
import { oneField, prefixed, rawDocument, utf8 } from "./raw-bson.ts";
import { jsonOf, MAKERS } from "./transcoders.ts";
import { runs } from "./runs.ts";

/** The JSON string that the codec should write, from JSON.stringify. */
function expectedText(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\u007f\u0085\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Bytes at the edges of the UTF-8 ranges. */
const NASTY_BYTES = [
  0x00, 0x0a, 0x1f, 0x20, 0x22, 0x5c, 0x61, 0x7f, 0x80, 0x85, 0x8f, 0x90, 0x9f, 0xa0, 0xa8, 0xa9, 0xbf, 0xc0, 0xc1,
  0xc2, 0xdf, 0xe0, 0xe1, 0xe2, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xf8, 0xff,
];
const nastyByte = fc.constantFrom(...NASTY_BYTES);
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc.array(nastyByte, { maxLength: 40 }).map((bytes) => Uint8Array.from(bytes)),
  fc
    .tuple(fc.string({ unit: "binary", maxLength: 30 }), fc.nat(), nastyByte)
    .map(([text, at, byte]) => utf8(text).map((one, index) => (index === at % 30 ? byte : one))),
);

for (const [maker, make] of MAKERS) {
  describe(`${maker}: text`, () => {
    test("of any bytes is what TextDecoder reads, escaped, and is counted once if it was invalid", () => {
      fc.assert(
        fc.property(anyBytes, (bytes) => {
          const transcoder = make({ format: "relaxed" });
          const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
          expect(jsonOf(transcoder, oneField(BSON.string, prefixed(bytes)))).toBe(`{"a":${expectedText(text)}}`);
          const isValid = Buffer.compare(utf8(text), bytes) === 0;
          expect(transcoder.counts.invalidUtf8).toBe(isValid ? 0 : 1);
        }),
        runs(500),
      );
    });

    test("of any name is so too", () => {
      fc.assert(
        fc.property(anyBytes, (bytes) => {
          const name = bytes.filter((byte) => byte !== 0);
          const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(name);
          const document = rawDocument([{ name, value: { type: BSON.null, body: new Uint8Array(0) } }]);
          expect(jsonOf(make({ format: "relaxed" }), document)).toBe(`{${expectedText(text)}:null}`);
        }),
        runs(250),
      );
    });

    test("is right wherever in a block a special character is", () => {
      const transcoder = make({ format: "relaxed" });
      for (const special of ['"', "\\", "\n", "\u0000", "\u007f", "é", "\u0085", "\u2028", "東", "😀"]) {
        for (let before = 0; before < 36; before++) {
          for (const filler of ["x", "ж"]) {
            const text = `${filler.repeat(before)}${special}${filler.repeat(before % 5)}`;
            expect(jsonOf(transcoder, oneField(BSON.string, prefixed(utf8(text))))).toBe(`{"a":${expectedText(text)}}`);
          }
        }
      }
    });

    test("of every code point is kept", () => {
      const transcoder = make({ format: "relaxed" });
      for (const plane of [0, 1, 2, 16]) {
        const points = Array.from({ length: 0x10000 }, (_, index) => plane * 0x10000 + index);
        const text = String.fromCodePoint(...points.filter((point) => point < 0xd800 || point > 0xdfff));
        expect(jsonOf(transcoder, oneField(BSON.string, prefixed(utf8(text)))) === `{"a":${expectedText(text)}}`).toBe(
          true,
        );
      }
    });

    test("that is invalid is an error if strict, also in a name", () => {
      const strict = make({ format: "relaxed", strict: true });
      const bad = Uint8Array.of(0x61, 0xff);
      expect(() => jsonOf(strict, oneField(BSON.string, prefixed(bad)))).toThrow(
        'invalid UTF-8 in the text at byte 11 (in "a")',
      );
      const name = rawDocument([{ name: bad, value: { type: BSON.null, body: new Uint8Array(0) } }]);
      expect(() => jsonOf(strict, name)).toThrow('invalid UTF-8 in the text at byte 5 (in "a\ufffd")');
      expect(strict.counts.invalidUtf8).toBe(0);
    });
  });
}

describe("JsonWriter", () => {
  const textOf = (writer: JsonWriter): string => new TextDecoder().decode(writer.view());

  test("writeString() escapes like the codec, and writes lone surrogates as U+FFFD", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const writer = new JsonWriter(1);
        writer.writeString(text);
        expect(textOf(writer)).toBe(expectedText(text));
      }),
      runs(125),
    );
    const writer = new JsonWriter();
    writer.writeString("a\ud800b");
    expect(textOf(writer)).toBe('"a\ufffdb"');
  });

  test("keeps its bytes when it grows, and its capacity after reset()", () => {
    const writer = new JsonWriter(1);
    for (let i = 0; i < 1000; i++) writer.writeAscii(`${i},`);
    writer.writeBytes(utf8("xéy"), 1, 3);
    writer.writeByte(10);
    expect(textOf(writer)).toBe(`${Array.from({ length: 1000 }, (_, i) => `${i},`).join("")}é\n`);
    const room = writer.bytes.length;
    writer.reset();
    expect(writer.view()).toHaveLength(0);
    expect(writer.bytes).toHaveLength(room);
  });
});
