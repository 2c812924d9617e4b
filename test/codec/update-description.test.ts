/** The document after an update, from the one before and the update description. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BSON, Double, Int32 } from "mongodb";
import { UpdateSeries } from "../../src/codec/update-description.ts";
import { Random } from "../../scripts/lib/random.ts";
import { int32 } from "./raw-bson.ts";

type Value = number | string | null | Value[] | Fields;
type Fields = Map<string, Value>;

interface Description {
  readonly updatedFields: Map<string, unknown>;
  readonly removedFields: readonly string[];
  readonly truncatedArrays: readonly { readonly field: string; readonly newSize: number }[];
}

function bytesOf(document: unknown): Uint8Array {
  return BSON.serialize(document as BSON.Document);
}

/** `null`: the update was given up. */
function applied(before: unknown, ...updates: readonly Partial<Description>[]): string | null {
  const series = new UpdateSeries();
  let bytes: Uint8Array | undefined = bytesOf(before);
  for (const update of updates) {
    const description = { updatedFields: {}, removedFields: [], truncatedArrays: [], ...update };
    // Neither of them begins at byte 0 in a reply.
    const at = { bytes: Buffer.concat([int32(7), bytes]), begin: 4 };
    bytes = series.apply(at, { bytes: Buffer.concat([int32(7), bytesOf(description)]), begin: 4 });
    if (bytes === undefined) return null;
  }
  return textOf(bytes);
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const set = (fields: object): Partial<Description> => ({ updatedFields: new Map(Object.entries(fields)) });
const unset = (...removedFields: string[]): Partial<Description> => ({ removedFields });
const cut = (field: string, newSize: number): Partial<Description> => ({ truncatedArrays: [{ field, newSize }] });

/** What the server says of a change of a document whose fields stay where they are and new ones come last. */
function described(before: Value, after: Value, path: string, into: Description): void {
  const at = (name: string | number): string => (path === "" ? String(name) : `${path}.${name}`);
  if (before instanceof Map && after instanceof Map) {
    for (const name of before.keys()) if (!after.has(name)) (into.removedFields as string[]).push(at(name));
    for (const [name, value] of after) {
      const old = before.get(name);
      if (old === undefined) into.updatedFields.set(at(name), value);
      else described(old, value, at(name), into);
    }
  } else if (Array.isArray(before) && Array.isArray(after)) {
    if (after.length < before.length) (into.truncatedArrays as object[]).push({ field: path, newSize: after.length });
    for (const [i, value] of after.entries()) {
      const old = before[i];
      if (old === undefined) into.updatedFields.set(at(i), value);
      else described(old, value, at(i), into);
    }
  } else if (textOf(bytesOf({ v: before })) !== textOf(bytesOf({ v: after }))) {
    into.updatedFields.set(path, after);
  }
}

const NAMES = ["a", "b", "c", "0", "1", "10", "é", "long name"];
const { value, fields } = fc.letrec<{ value: Value; fields: Fields }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.integer({ min: 0, max: 9 }),
    fc.constantFrom("", "x", "text"),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 4 }),
    tie("fields"),
  ),
  fields: fc
    .uniqueArray(fc.tuple(fc.constantFrom(...NAMES), tie("value")), { selector: ([name]) => name, maxLength: 6 })
    .map((entries) => new Map(entries)),
}));

/** The value after random changes: fields are set, removed and appended, arrays cut and lengthened. */
function changed(before: Value, values: readonly Value[], random: Random): Value {
  const any = (): Value => values[random.whole(values.length)] ?? null;
  if (before instanceof Map) {
    const after: Fields = new Map();
    for (const [name, old] of before) {
      if (random.whole(6) > 0) after.set(name, random.whole(2) === 0 ? changed(old, values, random) : old);
    }
    for (const name of NAMES) if (!before.has(name) && random.whole(8) === 0) after.set(name, any());
    return after;
  }
  if (Array.isArray(before)) {
    const kept = random.whole(4) === 0 ? before.slice(0, random.whole(before.length + 1)) : before;
    const after = kept.map((old) => (random.whole(2) === 0 ? changed(old, values, random) : old));
    return kept.length === before.length && random.whole(2) === 0 ? [...after, any()] : after;
  }
  return random.whole(2) === 0 ? any() : before;
}

describe("UpdateSeries.apply()", () => {
  test("makes the document that a straightforward model makes, byte for byte", () => {
    let given = 0;
    let compared = 0;
    const property = fc.property(fields, fc.array(value, { minLength: 1 }), fc.integer(), (before, values, seed) => {
      const after = changed(before, values, Random.for(seed, "changes"));
      const description: Description = { updatedFields: new Map(), removedFields: [], truncatedArrays: [] };
      described(before, after, "", description);
      compared += 1;
      const found = applied(before, description);
      if (found === null) given += 1;
      else expect(found).toBe(textOf(bytesOf(after)));
    });
    fc.assert(property, { numRuns: 2_000 });
    expect(compared).toBeGreaterThan(1_000);
    expect(given).toBe(0);
  });

  test.each([
    ["sets in place and appends", { a: 1, b: 2 }, set({ a: 5, c: 3 }), { a: 5, b: 2, c: 3 }],
    ["sets another type", { a: new Int32(1) }, set({ a: new Double(1) }), { a: new Double(1) }],
    ["removes", { a: 1, b: 2 }, unset("a"), { b: 2 }],
    ["truncates", { list: [1, 2, 3] }, cut("list", 1), { list: [1] }],
    ["truncates and sets", { list: [1, 2, 3] }, { ...set({ "list.0": 7 }), ...cut("list", 2) }, { list: [7, 2] }],
    ["appends to an array", { list: [1] }, set({ "list.1": 2 }), { list: [1, 2] }],
    ["fills an array", { list: [1] }, set({ "list.3": 2 }), { list: [1, null, null, 2] }],
    [
      "takes a number as a name in a document",
      { a: { "1": 1 } },
      set({ "a.0": 2 }),
      {
        a: new Map([
          ["1", 1],
          ["0", 2],
        ]),
      },
    ],
    ["changes within documents in arrays", { a: [{ b: 1 }] }, set({ "a.0.b": 2 }), { a: [{ b: 2 }] }],
  ])("%s", (_, before, update, after) => {
    expect(applied(before, update)).toBe(textOf(bytesOf(after)));
  });

  test.each([
    ["a field with a dot in its name beside the path", { "a.b": 1, a: { b: 1 } }, set({ "a.b": 2 })],
    ["a field with a dot in its name beside what is removed", { "a.b": 1, a: { b: 1 } }, unset("a.b")],
    ["a path through a value", { a: 1 }, set({ "a.b": 2 })],
    ["a path through a field that is not there", {}, set({ "a.b": 2 })],
    ["a path that is set and removed", { a: { b: 1 } }, { ...set({ "a.b": 2 }), ...unset("a.b") }],
    ["a path that is removed twice", { a: { b: 1 } }, unset("a.b", "a.b")],
    ["a path within one that is set", { a: { b: 1 } }, set({ a: {}, "a.b": 2 })],
    ["a path around one that is set", { a: { b: 1 } }, set({ "a.b": 2, a: {} })],
    ["an empty name in a path", { a: { "": 1 } }, set({ "a.": 2 })],
    ["an empty path", { "": 1 }, set({ "": 2 })],
    ["the removal of a field that is not there", { a: 1 }, unset("b")],
    ["the removal of an element", { a: [1, 2] }, unset("a.0")],
    ["a name in an array", { a: [1] }, set({ "a.b": 2 })],
    ["an index with zeros in front", { a: [1] }, set({ "a.01": 2 })],
    ["an array that is cut and set", { a: [1, 2] }, { ...set({ a: [1] }), ...cut("a", 1) }],
    ["a value that the field has already: the field was moved", { a: 1, b: 2 }, set({ a: 1 })],
  ])("gives up on %s", (_, before, update) => {
    expect(applied(before, update)).toBeNull();
  });

  test("gives up on corrupt BSON, wherever it is", () => {
    const before = bytesOf({ a: { b: 1 } });
    const description = bytesOf({ updatedFields: { "a.b": 2 } });
    for (const part of [before, description]) {
      const corrupt = part.slice();
      corrupt[corrupt.length - 1] = 0xee;
      const [document, update] = part === before ? [corrupt, description] : [before, corrupt];
      expect(new UpdateSeries().apply({ bytes: document, begin: 0 }, { bytes: update, begin: 0 })).toBeUndefined();
    }
  });
});

describe("a series gives up where its last document does not prove those before: a field with a dot in its name", () => {
  // With a field `a.b` beside `a` all of these end in the same document as without one.
  test.each([
    ["may be removed again", { a: { b: 1 } }, [set({ "a.b": 7 }), unset("a.b"), set({ "a.b": 2 })]],
    ["may be within a field that is set", { x: { a: { b: 1 } } }, [set({ "x.a.b": 7 }), set({ x: { a: { b: 7 } } })]],
    ["may be within a field that is removed", { x: { a: { b: 1 } } }, [set({ "x.a.b": 7 }), unset("x")]],
    ["may be within what is removed by another path", { a: { b: { c: 1 } } }, [set({ "a.b.c": 7 }), unset("a.b")]],
    ["may be within an array that is cut", { x: [{ a: { b: 1 } }] }, [set({ "x.0.a.b": 7 }), cut("x", 0)]],
  ])("%s", (_, before, updates) => {
    expect(applied(before, ...updates)).toBeNull();
  });

  test.each([
    ["counters within a document", { a: { n: 0 } }, [set({ "a.n": 1 }), set({ "a.n": 2 })], { a: { n: 2 } }],
    ["a document that is set as a whole", { a: { n: 0 } }, [set({ "a.n": 1 }), set({ a: {} })], { a: {} }],
    ["pushes and a cut", { a: [] }, [set({ "a.0": 1 }), set({ "a.1": 2 }), cut("a", 1)], { a: [1] }],
    ["a removal of another field", { a: { n: 0 }, b: 1 }, [set({ "a.n": 1 }), unset("b")], { a: { n: 1 } }],
  ])("but goes on with %s", (_, before, updates, after) => {
    expect(applied(before, ...updates)).toBe(textOf(bytesOf(after)));
  });
});
