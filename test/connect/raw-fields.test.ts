import { expect, test } from "bun:test";
import { BSON } from "mongodb";
import { OpMsgRequest } from "mongodb/lib/cmap/commands.js";
import { appendElements, RAW_FIELDS, RawFields } from "../../src/connect/raw-fields.ts";

interface Message {
  readonly command: object;
  toBin(): Uint8Array[];
}

/** The command document of the message that the driver makes of `command`: behind 20 bytes of header, and a type byte. */
function sent(command: object): Uint8Array {
  const Request = OpMsgRequest as unknown as new (db: string, command: object, options: object) => Message;
  const bytes = Buffer.concat(new Request("shop", command, {}).toBin());
  expect(bytes.readInt32LE(0)).toBe(bytes.length);
  return bytes.subarray(21);
}

test("raw fields are sent as they are, behind all fields of the command", () => {
  const fields = Buffer.from("0261000200000 0fc00".replace(" ", ""), "hex"); // a: text of one byte, which is not UTF-8
  const plain = { find: "orders", batchSize: 3 };
  const expected = appendElements(BSON.serialize({ ...plain, $db: "shop" }), fields);
  expect(Buffer.from(sent({ ...plain, [RAW_FIELDS]: new RawFields(fields) })).toString("hex")).toBe(
    Buffer.from(expected).toString("hex"),
  );
  expect(Buffer.from(expected).readInt32LE(0)).toBe(expected.length);
  expect(expected.at(-1)).toBe(0);
});

test("a command without raw fields is sent as the driver does it", () => {
  expect(BSON.deserialize(sent({ ping: 1, rawFields: 5 }))).toEqual({ ping: 1, rawFields: 5, $db: "shop" });
});

test("a driver without the patch fails before it sends the command without its raw fields", () => {
  const command = { find: "orders", [RAW_FIELDS]: new RawFields(new Uint8Array(0)) };
  expect(() => BSON.serialize(command)).toThrow("its patch did not take hold");
});
