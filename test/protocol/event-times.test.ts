/** The time of an event in its line. */
import { describe, expect, test } from "bun:test";
import { type Document, Long, Timestamp } from "mongodb";
import type { EnvelopeName } from "../../src/protocol/envelopes.ts";
import { createLineEncoder } from "../../src/protocol/line-encoder.ts";
import { clusterTime, sortKey } from "../../src/source/record.ts";
import { replyOf } from "../support/reply.ts";

/** The milliseconds of a BSON date, which can be further away than a date of JavaScript. */
const DATES = [
  "1700000000123",
  "1700000000123",
  "1700000000124",
  "0",
  "-1",
  "-4294967297",
  "4294967295",
  "9007199254740993",
  "-9223372036854775808",
];

/** An event whose `wallTime` is these milliseconds, as an int64 yet. */
function event(ms: string): Document {
  return {
    _id: { _data: "t" },
    operationType: "delete",
    clusterTime: new Timestamp({ t: 2, i: 1 }),
    wallTime: Long.fromString(ms),
    ns: { db: "shop", coll: "orders" },
    documentKey: { _id: 1 },
  };
}

function linesOf(envelope: EnvelopeName): string[] {
  const documents = replyOf(DATES.map(event));
  const { bytes, offsets } = documents;
  for (const offset of offsets) {
    const type = Buffer.from(bytes.buffer, bytes.byteOffset).indexOf("wallTime", offset) - 1;
    bytes[type] = 0x09;
  }
  const options = { transcoding: { format: "relaxed" }, onBadDocument: "fail", version: "0" } as const;
  const sortKeys = offsets.map((_, i) => sortKey(clusterTime(2, i), 1));
  const encoder = createLineEncoder({ envelope, ...options });
  const encoded = encoder.encode({ kind: "events", documents, sortKeys, position: { collections: {} } });
  return Buffer.from(encoded.bytes).toString().trim().split("\n");
}

describe.each(["meta", "change", "flat"] as const)("a line of %s", (envelope) => {
  test("has the milliseconds of its own event, before 1970 and as far as int64 goes", () => {
    const times = linesOf(envelope).map((line) => /ts_ms":(-?\d+)/.exec(line)?.[1]);
    expect(times).toEqual(DATES.map((ms) => String(Number(ms))));
  });

  test("has the place of its own event in the order", () => {
    const places = linesOf(envelope).map((line) => /"(?:order|_offset)":"(\w+)"/.exec(line)?.[1]);
    expect(places).toEqual(DATES.map((_, i) => sortKey(clusterTime(2, i), 1)));
  });
});
