import { expect, test } from "bun:test";
import fc from "fast-check";
import { Decimal128 } from "mongodb";
import { BSON, ElementWalker, readInt32 } from "../../src/codec/bson.ts";
import { runCommand } from "../../src/connect/run-command.ts";
import { equalKeys } from "../../src/source/equal-keys.ts";
import { arrayElement, rawValue } from "../../src/source/raw-bson.ts";
import { withNumberedArrays } from "../../src/source/index-bytes.ts";
import {
  anyDocument,
  double,
  field,
  int32,
  int64,
  prefixed,
  rawDocument,
  type RawValue,
  utf8,
} from "../codec/raw-bson.ts";
import { testDatabase } from "../support/replica-set.ts";

const whole = fc.integer({ min: -3, max: 3 });
const number = fc.oneof(
  whole.map((n): RawValue => ({ type: BSON.int32, body: int32(n) })),
  whole.map((n): RawValue => ({ type: BSON.int64, body: int64(BigInt(n)) })),
  fc
    .oneof(whole, fc.constantFrom(-0, 0.5, 0.1, Number.NaN, Infinity, -Infinity, 2 ** 63, Number.MIN_VALUE))
    .map((n): RawValue => ({ type: BSON.double, body: double(n) })),
  fc
    .oneof(
      fc.tuple(whole, fc.integer({ min: 0, max: 3 })).map(([n, zeros]) => `${n}${"0".repeat(zeros)}E-${zeros}`),
      fc.constantFrom("NaN", "-NaN", "Infinity", "-Infinity", "-0E+9", "0.5", "0.1", "9223372036854775808", "5E-324"),
    )
    .map((text): RawValue => ({ type: BSON.decimal128, body: Decimal128.fromString(text).bytes })),
  fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map((bytes): RawValue => ({ type: BSON.decimal128, body: bytes.fill(0xff, 0, 12) })),
);
const text = fc
  .tuple(fc.constantFrom("", "a", "b"), fc.constantFrom(BSON.string, BSON.symbol, BSON.code))
  .map(([word, type]): RawValue => ({ type, body: prefixed(utf8(word)) }));
const simple = fc.oneof({ weight: 3, arbitrary: number }, { weight: 1, arbitrary: text });
const nested = fc
  .tuple(
    fc.constantFrom(BSON.document, BSON.array),
    fc.array(fc.tuple(fc.constantFrom("0", "a"), simple), { maxLength: 2 }),
  )
  .map(([type, fields]): RawValue => ({
    type,
    body: rawDocument(fields.map(([name, { type: inner, body }]) => field(name, inner, body))),
  }));
const pair = fc.oneof(
  fc.tuple(simple, simple),
  fc.tuple(nested, nested),
  anyDocument.map((body): [RawValue, RawValue] => [
    { type: BSON.document, body },
    { type: BSON.document, body: withNumberedArrays(body) },
  ]),
);

/**
 * The code of each document that was not inserted, by its index. Errors quote the keys, and not every regular expression of
 * BSON is one of JavaScript: they are not decoded.
 */
function codesOf(writeErrors: unknown): Map<number, number> {
  const codes = new Map<number, number>();
  const walker = new ElementWalker();
  for (const error of (writeErrors ?? []) as readonly Uint8Array[]) {
    const found = new Map<string, number>();
    walker.start(error, 0);
    while (walker.next()) {
      const name = Buffer.from(error.subarray(walker.nameBegin, walker.nameEnd)).toString();
      if (walker.type === BSON.int32) found.set(name, readInt32(error, walker.valueBegin));
    }
    codes.set(found.get("index") ?? -1, found.get("code") ?? -1);
  }
  return codes;
}

/** The server refuses the second of two documents whose `_id`s are equal. */
test("equalKeys() is what the _id index finds equal", async () => {
  const { client, name } = await testDatabase();
  let run = 0;
  const property = fc.asyncProperty(fc.array(pair, { minLength: 100, maxLength: 100 }), async (pairs) => {
    const collection = `c${(run += 1)}`;
    const documents = pairs.flatMap((both, n) =>
      both.map(({ type, body }) => {
        const id = rawDocument([field("n", BSON.int32, int32(n)), field("x", type, body)]);
        return rawValue(BSON.document, rawDocument([field("_id", BSON.document, id)]));
      }),
    );
    const rawFields = arrayElement("documents", documents);
    const reply = await runCommand(client, name, { insert: collection, ordered: false }, { rawFields, raw: true });
    const codes = codesOf(reply["writeErrors"]);
    for (const [n, [left, right]] of pairs.entries()) {
      const [first, second] = [codes.get(2 * n), codes.get(2 * n + 1)];
      if (first !== undefined) continue; // a name that begins with a dollar sign
      const isEqual = equalKeys(rawValue(left.type, left.body), rawValue(right.type, right.body));
      expect({ left, right, isEqual }).toEqual({ left, right, isEqual: second === 11000 });
    }
  });
  await fc.assert(property, { numRuns: 5, endOnFailure: true });
});
