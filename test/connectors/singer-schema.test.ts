/** The SCHEMA of a stream fits what the settings make of its values. */

import { expect, test } from "bun:test";
import { schemaMessage, type ColumnSettings } from "../../src/connectors/singer/schema.ts";
import { columnsOf } from "../../src/discover/streams.ts";
import { createLineEncoder } from "../../src/protocol/line-encoder.ts";
import { entryOf } from "../discover/catalogs.ts";
import { checkFor } from "../discover/validator.ts";
import { linesOf, rowsOf } from "../protocol/batches.ts";

const DOCUMENTS = [
  { _id: 1, at: new Date(0), list: [[1], { in: [2] }], in: { list: [1], in: { x: 1 } }, re: /x/i, mixed: [1] },
  { _id: "2", at: null, list: [], in: {}, re: null, mixed: { x: [1] } },
];

const SETTINGS: readonly ColumnSettings[] = (["fields", "data"] as const).flatMap((columns) =>
  (["plain", "relaxed", "canonical"] as const).flatMap((format) =>
    (["document", "string"] as const).flatMap((documents) => [
      { columns, format, documents },
      { columns, format, documents, arrays: "string" as const },
    ]),
  ),
);

test.each(SETTINGS.map((settings) => [JSON.stringify(settings), settings] as const))(
  "%s: every record is valid",
  (_, settings) => {
    const { columns, format, documents, arrays } = settings;
    const properties = columnsOf(entryOf(DOCUMENTS), { dateTime: { format: "date-time" } });
    const stream = { stream: "c", schema: { properties }, keys: ["_id"] };
    const message = schemaMessage(stream, true, settings) as { schema: object };
    const check = checkFor(message.schema);
    const records = { stream: "c", version: 1, excluded: new Map(), hasChanges: true, columns };
    const envelope = { kind: "singer" as const, streams: new Map([["shop.c", records]]) };
    const transcoding = { format, documents, ...(arrays === undefined ? {} : { arrays }) };
    const encoder = createLineEncoder({ envelope, transcoding, onBadDocument: "fail", version: "9" });
    const lines = linesOf(encoder, rowsOf(DOCUMENTS)).map(([, line]) => JSON.parse(line) as { record: object });
    expect(lines).toHaveLength(2);
    for (const { record } of lines) {
      expect(check(record)).toEqual([]);
      expect(Object.keys(record).every((name) => name in (message.schema as { properties: object }).properties)).toBe(
        true,
      );
    }
  },
);

test("fields: what discover says stays as exact as it is", () => {
  const properties = {
    _id: { type: ["null", "integer"] },
    in: { type: ["null", "object"], properties: { x: { type: ["null"] } } },
  };
  const stream = { stream: "c", schema: { type: "object", "x-more": 1, properties }, keys: ["_id"] };
  expect(schemaMessage(stream, false, { columns: "fields", format: "plain", documents: "document" })).toEqual({
    type: "SCHEMA",
    stream: "c",
    schema: { type: "object", "x-more": 1, properties },
    key_properties: ["_id"],
  });
});
