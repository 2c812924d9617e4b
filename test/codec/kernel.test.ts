import { describe, expect, test } from "bun:test";
import { serialize } from "bson";
import fc from "fast-check";
import { BSON, readInt32 } from "../../src/codec/bson.ts";
import { nameBits } from "../../src/codec/name-bits.ts";
import { createTranscoder, type Transcoder } from "../../src/codec/transcode.ts";
import { JsonWriter } from "../../src/codec/json-writer.ts";
import { FLAG, Kernel, kernelModule, powersOfTen } from "../../src/codec/kernel.ts";
import { must } from "../../src/errors.ts";
import { Walker } from "../../src/codec/walk.ts";
import {
  anyDocument,
  anyValue,
  brokenDocument,
  concat,
  int32,
  oneField,
  prefixed,
  usualDocument,
  utf8,
} from "./raw-bson.ts";
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

  test("rejects what the walk rejects, with the same message, whatever the bytes", () => {
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

  test("writes every document of the usual types itself", () => {
    const writer = new JsonWriter();
    const kernel = new Kernel(writer, kernelModule());
    fc.assert(
      fc.property(usualDocument, fc.constantFrom(0, FLAG.canonical), (bytes, flags) => {
        writer.reset();
        expect(kernel.write(bytes, 0, bytes.length, flags, undefined)).toBe(true);
      }),
      runs(100),
    );
  });

  test("reads nothing outside the document, whatever surrounds it", () => {
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

  test("writes inside its output, or returns that it is full", () => {
    const memory = new WebAssembly.Memory({ initial: 32 });
    const instance = new WebAssembly.Instance(kernelModule(), { env: { memory } });
    const { prepare, staticEnd, transcode } = instance.exports as Record<string, (...numbers: number[]) => number>;
    if (prepare === undefined || staticEnd === undefined || transcode === undefined) throw new Error("no kernel");
    const all = new Uint8Array(memory.buffer);
    all.set(powersOfTen(), prepare());
    const input = staticEnd() + 64;
    const output = 512 * 1024;
    fc.assert(
      fc.property(usualDocument, fc.nat(3000), fc.constantFrom(0, 1, 4, 12), (bytes, room, flags) => {
        const around = all.subarray(output, output + room + 64 * 1024);
        around.fill(0xee);
        all.fill(0xee, input, input + bytes.length + 64);
        all.set(bytes, input);
        const end = transcode(input, bytes.length, output, output + room, flags);
        expect(around.subarray(room + 64).every((byte) => byte === 0xee)).toBe(true);
        expect(all.subarray(input, input + bytes.length)).toEqual(Uint8Array.from(bytes));
        if (end === -2) expect(room).toBeLessThan(bytes.length * 12 + 1024);
        else expect(end).toBeLessThanOrEqual(output + room);
      }),
      runs(100),
    );
  });

  test("writes documents larger than its window, and into writers that grow", () => {
    const small = oneField(BSON.int32, int32(7));
    const large = oneField(BSON.string, prefixed(utf8('0123456789é"'.repeat(150_000))));
    const documents = [...Array.from({ length: 20_000 }, () => small), large, small, large, large, small];
    const all = concat(...documents);
    const walker = new Walker({ format: "relaxed" });
    const [smallText, largeText] = [jsonOf(walker, small), jsonOf(walker, large)];
    const expected = documents.map((document) => (document === small ? smallText : largeText)).join("");
    for (const isLoaded of [true, false]) {
      const transcoder = createTranscoder({ format: "relaxed" });
      const writer = new JsonWriter();
      if (isLoaded) transcoder.load(all);
      for (let at = 0; at < all.length; at += readInt32(all, at)) transcoder.writeDocument(writer, all, at);
      expect(new TextDecoder().decode(writer.view()) === expected).toBe(true);
    }
  });

  test("writes each of many documents in one buffer as if it were alone, loaded or not", () => {
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

  test("names the top-level names with a leading underscore that it has written, by their bits", () => {
    const documentOf = (name: string): Uint8Array => serialize({ _id: 1, [name]: 1, inner: { __x: 1 } });
    const namesIn = (transcoder: Transcoder, document: Uint8Array): number => {
      transcoder.takeNames(); // of other tests: small writers share a kernel
      transcoder.writeMembers(new JsonWriter(), document, 0);
      return transcoder.takeNames();
    };
    fc.assert(
      fc.property(fc.stringMatching(/^_[a-zA-Z_]{2,40}$/), (name) => {
        const kernel = createTranscoder({ format: "relaxed" });
        expect(namesIn(kernel, documentOf("a"))).toBe(0);
        expect(namesIn(kernel, documentOf(name))).toBe(nameBits([name]));
        expect(kernel.takeNames()).toBe(0);
        expect(namesIn(new Walker({ format: "relaxed" }), documentOf(name)) & nameBits([name])).not.toBe(0);
      }),
      runs(100),
    );
  });
});
