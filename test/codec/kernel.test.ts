import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createTranscoder } from "../../src/codec/transcode.ts";
import { JsonWriter } from "../../src/codec/json-writer.ts";
import { FLAG, Kernel, kernelModule } from "../../src/codec/kernel.ts";
import { must } from "../../src/errors.ts";
import { Walker } from "../../src/codec/walk.ts";
import { anyDocument, anyValue, brokenDocument, concat, usualDocument } from "./raw-bson.ts";
import { ALL_OPTIONS, jsonOf, outcomeOf } from "./transcoders.ts";
import { runs } from "./runs.ts";

const anyOptions = fc.constantFrom(...ALL_OPTIONS);

describe("the kernel", () => {
  test("writes what the walk writes, whatever the document", () => {
    fc.assert(
      fc.property(anyDocument, anyOptions, (bytes, options) => {
        expect(outcomeOf(createTranscoder(options), bytes)).toBe(outcomeOf(new Walker(options), bytes));
      }),
      runs(375),
    );
  });

  test("refuses what the walk refuses, whatever the bytes", () => {
    fc.assert(
      fc.property(brokenDocument, anyOptions, (bytes, options) => {
        expect(outcomeOf(createTranscoder(options), bytes)).toBe(outcomeOf(new Walker(options), bytes));
      }),
      runs(750),
    );
  });

  test("writes single values as the walk does", () => {
    fc.assert(
      fc.property(anyValue, anyOptions, ({ type, body }, options) => {
        const texts = [createTranscoder(options), new Walker(options)].map((transcoder) => {
          const writer = new JsonWriter();
          try {
            transcoder.writeValue(writer, body, type, 0, body.length);
          } catch (error) {
            return String(error);
          }
          return new TextDecoder().decode(writer.view());
        });
        expect(texts[0]).toBe(must(texts[1], "the text of the walk"));
      }),
      runs(125),
    );
  });

  test("gives up on no document of the usual types but a date out of the ordinary", () => {
    const writer = new JsonWriter();
    const kernel = new Kernel(writer, must(kernelModule(), "WebAssembly"));
    fc.assert(
      fc.property(usualDocument, fc.constantFrom(0, FLAG.canonical), (bytes, flags) => {
        writer.reset();
        expect(kernel.write(bytes, 0, bytes.length, flags, undefined)).toBe(true);
      }),
      runs(100),
    );
  });

  test("reads nothing outside the document, whatever stands around it", () => {
    fc.assert(
      fc.property(
        fc.oneof(anyDocument, brokenDocument),
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 40 }),
        anyOptions,
        (bytes, before, behind, options) => {
          const around = concat(before, bytes, behind);
          const transcoder = createTranscoder(options);
          const alone = outcomeOf(transcoder, bytes);
          expect(outcomeOf(transcoder, around, before.length, before.length + bytes.length)).toBe(alone);
          transcoder.load(around);
          expect(outcomeOf(transcoder, around, before.length, before.length + bytes.length)).toBe(alone);
        },
      ),
      runs(375),
    );
  });

  test("writes many documents of one buffer as it writes each alone, loaded or not", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(usualDocument, anyDocument), { maxLength: 20 }),
        fc.boolean(),
        (documents, isLoaded) => {
          const all = concat(...documents);
          const transcoder = createTranscoder({ format: "relaxed" });
          const writer = new JsonWriter(1);
          if (isLoaded) transcoder.load(all);
          let at = 0;
          for (const document of documents) {
            transcoder.writeDocument(writer, all, at);
            writer.writeByte(10);
            at += document.length;
          }
          const lines = documents.map((document) => `${jsonOf(new Walker({ format: "relaxed" }), document)}\n`);
          expect(new TextDecoder().decode(writer.view())).toBe(lines.join(""));
        },
      ),
      runs(100),
    );
  });
});
