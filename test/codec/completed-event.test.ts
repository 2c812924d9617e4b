/** Where a document is put into an event. */
import { expect, test } from "bun:test";
import { BSON, type Document } from "mongodb";
import { ChangeEvent } from "../../src/codec/change-event.ts";
import { completedEvent } from "../../src/codec/completed-event.ts";

const HEAD = { _id: { _data: "82" }, operationType: "update", clusterTime: 1, wallTime: 2 };
const TAIL = { ns: { db: "shop", coll: "c" }, documentKey: { _id: 1 }, updateDescription: { updatedFields: { v: 1 } } };
const FOUND = { _id: 1, v: 1, text: "é" };

const hex = (document: Document): string => Buffer.from(BSON.serialize(document)).toString("hex");

/** `document` behind other bytes. */
function bytesOf(document: Document, begin: number): Uint8Array {
  return Buffer.concat([Buffer.alloc(begin), BSON.serialize(document), Buffer.alloc(3)]);
}

function read(document: Document): ChangeEvent {
  const event = new ChangeEvent();
  event.read(bytesOf(document, 7), 7);
  return event;
}

/** The event afterwards, in hex. */
function completed(document: Document): string {
  const event = read(document);
  event.complete({ bytes: bytesOf(FOUND, 5), begin: 5 });
  expect(event.isCompleted).toBe(true);
  const { bytes, begin } = completedEvent(event);
  return Buffer.from(bytes.subarray(begin)).toString("hex");
}

test("a document is put between the times of the event and its namespace, as by the server", () => {
  expect(completed({ ...HEAD, ...TAIL })).toBe(hex({ ...HEAD, fullDocument: FOUND, ...TAIL }));
});

test("a null of the server is replaced where it is", () => {
  expect(completed({ ...HEAD, fullDocument: null, ...TAIL })).toBe(hex({ ...HEAD, fullDocument: FOUND, ...TAIL }));
});

test("an event without a namespace has it at its end", () => {
  expect(completed(HEAD)).toBe(hex({ ...HEAD, fullDocument: FOUND }));
});

test("a document that was given is forgotten with the next event", () => {
  const event = read({ ...HEAD, ...TAIL });
  event.complete({ bytes: bytesOf(FOUND, 5), begin: 5 });
  expect(event.hasDocument).toBe(true);
  event.read(bytesOf({ ...HEAD, ...TAIL }, 0), 0);
  expect([event.hasDocument, event.isCompleted]).toEqual([false, false]);
  event.read(bytesOf({ ...HEAD, fullDocument: FOUND, ...TAIL }, 0), 0);
  expect([event.hasDocument, event.isCompleted]).toEqual([true, false]);
});
