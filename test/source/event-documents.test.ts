/** Where a document is put into an event. */
import { expect, test } from "bun:test";
import { BSON, type Document } from "mongodb";
import { ChangeEvent } from "../../src/codec/change-event.ts";
import { withDocuments } from "../../src/source/event-documents.ts";
import { ReplyDocuments, ReplyMemory } from "../../src/source/reply-memory.ts";

const HEAD = { _id: { _data: "82" }, operationType: "update", clusterTime: 1, wallTime: 2 };
const TAIL = { ns: { db: "shop", coll: "c" }, documentKey: { _id: 1 }, updateDescription: { updatedFields: { v: 1 } } };
const FOUND = { _id: 1, v: 1, text: "é" };

function eventsOf(all: readonly Document[]): ReplyDocuments {
  const parts = all.map((event) => BSON.serialize(event));
  const offsets = parts.map((_, i) => 3 + parts.slice(0, i).reduce((sum, { length }) => sum + length, 0));
  return new ReplyDocuments(new ReplyMemory(Buffer.concat([Buffer.alloc(3), ...parts]), true), offsets);
}

/** The events afterwards, in hex. */
function completed(all: readonly Document[], found: readonly (Document | undefined)[]): string[] {
  const documents = found.map(
    (one) => one && { bytes: Buffer.concat([Buffer.alloc(5), BSON.serialize(one)]), begin: 5 },
  );
  const { bytes, offsets } = withDocuments(new ChangeEvent(), eventsOf(all), documents);
  return offsets.map((at, i) => Buffer.from(bytes.subarray(at, offsets[i + 1] ?? bytes.length)).toString("hex"));
}

const hex = (document: Document): string => Buffer.from(BSON.serialize(document)).toString("hex");

test("a document is put between the times of the event and its namespace, as by the server", () => {
  expect(completed([{ ...HEAD, ...TAIL }], [FOUND])).toEqual([hex({ ...HEAD, fullDocument: FOUND, ...TAIL })]);
});

test("a null of the server is replaced where it is", () => {
  const event = { ...HEAD, fullDocument: null, ...TAIL };
  expect(completed([event], [FOUND])).toEqual([hex({ ...HEAD, fullDocument: FOUND, ...TAIL })]);
  expect(completed([event], [undefined])).toEqual([hex(event)]);
});

test("an event without a namespace has it at its end", () => {
  expect(completed([HEAD], [FOUND])).toEqual([hex({ ...HEAD, fullDocument: FOUND })]);
});

test("events without one stay the same bytes, in their order, and the memory of the reply is released", () => {
  const all = [1, 2, 3, 4].map((n) => ({ ...HEAD, ...TAIL, documentKey: { _id: n } }));
  const [first, second, third, fourth] = all.map(hex);
  const second_ = hex({ ...HEAD, fullDocument: FOUND, ...TAIL, documentKey: { _id: 2 } });
  expect(completed(all, [undefined, FOUND, undefined, undefined])).toEqual([first, second_, third, fourth] as string[]);
  expect(second_).not.toBe(second);
  const events = eventsOf(all);
  withDocuments(new ChangeEvent(), events, []);
  expect(() => events.bytes).toThrow("after its release");
});
