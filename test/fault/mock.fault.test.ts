/** Faults that no real server shows on demand, of a server that only speaks the protocol: docs/reliability.md. */
import { expect, test } from "bun:test";
import { BSON, type Document, Long, Timestamp } from "mongodb";
import {
  after,
  batch,
  error,
  frame,
  type Handler,
  insertAt,
  MOCK_NOW,
  type MockServer,
  opened,
  startMockServer,
  tokenAt,
} from "../support/mock-server.ts";
import { linesIn } from "../cli/tap.ts";
import { getMores, idle, inserts } from "./support/mock-replies.ts";
import { CAUGHT_UP, type Trial, trialOf } from "./support/trial.ts";
import { timeFrom } from "../support/states.ts";

const silent: Handler = () => "silence";

async function tailOf({ uri }: MockServer, ...more: string[]): Promise<Trial> {
  return await trialOf(uri, ["tail", "shop.orders", ...more]);
}

test.each([
  [280, "ChangeStreamFatalError"],
  [286, "ChangeStreamHistoryLost"],
  [464, "ShardRemovedError"],
])("A10 A19 B9 a getMore that answers %d (%s) ends with 6 behind what was written", async (code, text) => {
  await using server = await startMockServer({ on: { getMore: getMores(inserts(1), error(code, text)) } });
  await using trial = await tailOf(server);
  const { stderr } = await trial.expect(6);
  expect(stderr).toContain(text);
  expect(await trial.lines()).toHaveLength(1);
  expect((await trial.saved()).position.stream?.time).toBe(timeFrom("6955b90000000002"));
});

test.each([
  [260, "Attempted to resume a stream on a collection which has been dropped"],
  [50811, "KeyString format error: Unknown type: 115"],
  [40647, "Bad resume token: _data of missing or of wrong type"],
  [9, "resume token string was not a valid hex string"],
])("B7 an aggregate that answers our token with %d ends with 3, and the state stays as it is", async (code, text) => {
  const isOurs = ({ pipeline }: Document): boolean => pipeline[0].$changeStream.resumeAfter !== undefined;
  await using server = await startMockServer({
    on: { aggregate: (command) => (isOurs(command) ? error(code, text) : opened()), getMore: idle },
  });
  await using trial = await tailOf(server);
  await trial.expect(0, CAUGHT_UP);
  const before = await trial.files();
  const { stderr } = await trial.expect(3);
  expect(stderr).toContain("the server does not accept the saved position");
  expect(await trial.files()).toEqual(before);
});

test("B7 a server whose time is behind the saved position, as a restored one is, ends with 3", async () => {
  await using server = await startMockServer({ on: { getMore: getMores(inserts(1)) } });
  await using trial = await tailOf(server);
  await trial.expect(0, ["--limit", "1"]);
  await trial.forge(({ position, ...saved }) => {
    const time = after(MOCK_NOW, 3);
    const token = Buffer.from(BSON.serialize(tokenAt(time))).toString("base64");
    const stream = { token, resume: "resumeAfter" as const, time: timeFrom("6955b90000000004"), sequence: 0 };
    return { ...saved, position: { ...position, stream } };
  });
  const before = await trial.files();
  expect((await trial.expect(3)).stderr).toContain("ahead of the server's own time");
  expect(await trial.files()).toEqual(before);
});

test("A5 a quiet stream has caught up when it was asked after the majority had what was newest, not before", async () => {
  // Its first token is one tick ahead of what the majority has, which is one write of just that tick behind.
  const had = new Timestamp({ t: MOCK_NOW.t, i: MOCK_NOW.i - 1 });
  const token = { postBatchResumeToken: tokenAt(MOCK_NOW) };
  let asked = 0;
  let hasMajority = false;
  await using server = await startMockServer({
    on: {
      aggregate: () => ({ ...opened(), operationTime: had }),
      getMore: () => {
        asked += 1;
        return { ...batch([], token), operationTime: hasMajority ? MOCK_NOW : had };
      },
    },
  });
  await using trial = await tailOf(server);
  await trial.expect(12, [...CAUGHT_UP, "--for", "1s"]);
  expect(asked).toBeGreaterThan(2);
  hasMajority = true;
  asked = 0;
  await trial.expect(0, CAUGHT_UP);
  expect(asked).toBe(2);
});

test("B11 a server without post-batch resume tokens is refused with 10, and no position is saved", async () => {
  await using server = await startMockServer({ on: { aggregate: () => batch([], {}, "firstBatch") } });
  await using trial = await tailOf(server);
  const { stderr } = await trial.expect(10);
  expect(stderr).toContain("the server sends no post-batch resume token");
  expect(await trial.files()).toMatchObject({ state: undefined });
});

test("B11 one that stops sending them keeps the last position that was right", async () => {
  await using server = await startMockServer({ on: { getMore: getMores(inserts(1), batch([])) } });
  await using trial = await tailOf(server);
  await trial.expect(10);
  expect((await trial.saved()).position.stream?.time).toBe(timeFrom("6955b90000000002"));
});

test("C4 a cursor that is closed without an invalidate is no end: the stream is opened again", async () => {
  const closed = batch([], { id: Long.ZERO, postBatchResumeToken: tokenAt(after(MOCK_NOW, 1)) });
  await using server = await startMockServer({ on: { getMore: getMores(closed, inserts(2)) } });
  await using trial = await tailOf(server);
  const { stderr } = await trial.expect(0, ["--limit", "1"]);
  expect(stderr).toContain("the server closed the change stream without saying why; trying again");
  const reopened = server.commands.filter(({ name }) => name === "aggregate").at(-1)?.command;
  expect(reopened?.["pipeline"][0].$changeStream.resumeAfter).toEqual(tokenAt(after(MOCK_NOW, 1)));
});

test("C9 an event of an unknown kind is counted and said; the events around it come", async () => {
  const unknown = { ...insertAt(after(MOCK_NOW, 2), { _id: 2 }), operationType: "sharpen", flavour: { hue: 1 } };
  const events = [insertAt(after(MOCK_NOW, 1), { _id: 1 }), unknown, insertAt(after(MOCK_NOW, 3), { _id: 3 })];
  const reply = batch(events, { postBatchResumeToken: tokenAt(after(MOCK_NOW, 3)) });
  for (const envelope of ["meta", "raw"]) {
    await using server = await startMockServer({ on: { getMore: getMores(reply) } });
    await using trial = await tailOf(server, "--envelope", envelope);
    const { stderr } = await trial.expect(0, ["--limit", "3"]);
    const isRaw = envelope === "raw";
    expect(await trial.lines()).toHaveLength(isRaw ? 3 : 2);
    if (!isRaw) expect(stderr).toContain('1 event of the unknown kind "sharpen" left out');
  }
});

/** An update in three fragments, as `$changeStreamSplitLargeEvent` makes them. */
function fragments(): Document[] {
  const time = after(MOCK_NOW, 5);
  const { fullDocument, _id: _, ...rest } = insertAt(time, { _id: 5, text: "whole" });
  const parts = [rest, { fullDocument }, { fullDocumentBeforeChange: { _id: 5, text: "before" } }];
  return parts.map((part, i) => ({
    _id: tokenAt(time, "event", 50 + i),
    splitEvent: { fragment: i + 1, of: 3 },
    ...part,
  }));
}

test("E2 E3 a run that is killed between two fragments has no position there, and the event comes once and whole", async () => {
  const [first, second, third] = fragments() as [Document, Document, Document];
  const one = insertAt(after(MOCK_NOW, 1), { _id: 1 });
  const half = batch([one, first], { postBatchResumeToken: first["_id"] });
  const more: Handler = async () => {
    await Bun.sleep(1_500); // so that it is time for a commit, between the second fragment and the third
    return batch([second], { postBatchResumeToken: second["_id"] });
  };
  await using stalling = await startMockServer({ on: { getMore: getMores(half, more, silent) } });
  await using trial = await tailOf(stalling);
  await using tail = trial.start();
  const { position } = await trial.waitForSaved(({ outputs }) => outputs[0]?.lines === 1, "a commit");
  expect(position.stream?.time).toBe(timeFrom("6955b90000000002"));
  tail.kill("SIGKILL");
  await tail.done;
  // The same server, as far as anybody can tell, sends them over three replies.
  await using whole = await startMockServer({
    now: after(MOCK_NOW, 20),
    on: {
      getMore: getMores(
        batch([first], { postBatchResumeToken: first["_id"] }),
        batch([second], { postBatchResumeToken: second["_id"] }),
        batch([third, insertAt(after(MOCK_NOW, 6), { _id: 6 })], { postBatchResumeToken: tokenAt(after(MOCK_NOW, 9)) }),
      ),
    },
  });
  await trial.expect(0, ["--uri", whole.uri, "--limit", "2"]);
  const opening = whole.commands.find(({ name }) => name === "aggregate")?.command;
  expect(opening?.["pipeline"][0].$changeStream.resumeAfter).toEqual(one["_id"]);
  const lines = await trial.lines();
  expect(lines.map(({ _id }) => _id)).toEqual([1, 5, 6]);
  expect(lines[1]).toMatchObject({ text: "whole", _meta: { op: "c", before: { text: "before" } } });
});

test("E3 fragments out of order, missing, or broken off by another event end with 9, and no position is taken among them", async () => {
  const [first, second, third] = fragments() as [Document, Document, Document];
  const other = insertAt(after(MOCK_NOW, 6), { _id: 6 });
  for (const events of [
    [first, third],
    [second, third],
    [first, first],
    [first, other],
    [first, second, other],
  ]) {
    const reply = batch(events, { postBatchResumeToken: tokenAt(after(MOCK_NOW, 9)) });
    await using server = await startMockServer({ on: { getMore: getMores(inserts(1), reply) } });
    await using trial = await tailOf(server);
    expect((await trial.expect(9)).stderr).toContain("a split change event came in disorder");
    expect(await trial.lines()).toHaveLength(1);
    expect((await trial.saved()).position.stream?.time).toBe(timeFrom("6955b90000000002"));
  }
});

test("E10 an event nested 10,000 deep is carried or refused with 9, without running out of stack", async () => {
  let nested = BSON.serialize({});
  for (let level = 0; level < 10_000; level += 1) nested = withElement(BSON.serialize({}), 3, "a", nested);
  const event = insertAt(after(MOCK_NOW, 1), { _id: 1 });
  const { cursor } = batch([], { postBatchResumeToken: event["_id"] as Document });
  const { nextBatch: _, ...rest } = cursor as Document;
  const events = withElement(BSON.serialize({}), 3, "0", withElement(BSON.serialize(event), 3, "fullDocument", nested));
  const full = withElement(BSON.serialize(rest), 4, "nextBatch", events);
  const body = withElement(BSON.serialize({ ok: 1, operationTime: MOCK_NOW }), 3, "cursor", full);
  await using server = await startMockServer({ on: { getMore: getMores(() => ({ body })) } });
  await using trial = await tailOf(server);
  const { code, stderr } = await trial.run(["--limit", "1"]);
  expect(stderr).not.toContain("stack");
  expect([0, 9]).toContain(code ?? -1);
});

/** The document with one more element behind the others. */
function withElement(document: Uint8Array, type: number, name: string, value: Uint8Array): Uint8Array {
  const whole = Buffer.concat([
    document.subarray(0, -1),
    Buffer.from([type]),
    Buffer.from(`${name}\0`),
    value,
    Buffer.of(0),
  ]);
  whole.writeInt32LE(whole.length, 0);
  return whole;
}

test("E11 a poisoned event ends with 9 and names its document; what came before it is kept, nothing is passed over", async () => {
  const events = [1, 2, 3].map((number) => insertAt(after(MOCK_NOW, number), { _id: number, text: "poison" }));
  const reply = Buffer.from(
    BSON.serialize({ ok: 1, ...batch(events, { postBatchResumeToken: events[2]?.["_id"] as Document }) }),
  );
  // The length of the string in the second event points out of its document.
  const at = reply.indexOf("poison", reply.indexOf("poison") + 1) - 4;
  reply.writeInt32LE(0x7fff_ff00, at);
  await using server = await startMockServer({ on: { getMore: getMores(inserts(1), () => ({ body: reply })) } });
  await using trial = await tailOf(server);
  const { stderr } = await trial.expect(9);
  expect(stderr).toContain("_id 2");
  expect((await trial.saved()).position.stream?.time).toBe(timeFrom("6955b90000000002"));
  await using other = await startMockServer({ on: { getMore: getMores(inserts(1), () => ({ body: reply })) } });
  await using tolerant = await tailOf(other, "--on-bad-document", `quarantine=${trial.join("aside")}`);
  await tolerant.expect(0, ["--limit", "4"]);
  expect((await tolerant.lines()).map(({ _id }) => _id)).toEqual([1, 1, 3]);
  expect(await linesIn(trial.join("aside"))).toMatchObject([{ namespace: "shop.orders", kind: "event" }]);
});

const NO_BSON = withElement(BSON.serialize({ ok: 1 }), 0x7e, "cursor", Buffer.alloc(4));

test.each([
  ["a message of 2 GB", (id: number) => frame(id, 2013, Buffer.alloc(64), 0x7fff_ffff)],
  ["a message of negative length", (id: number) => frame(id, 2013, Buffer.alloc(64), -16)],
  ["a reply that is no BSON", (id: number) => frame(id, 2013, Buffer.concat([Buffer.alloc(5), NO_BSON]))],
])("J10 %s breaks the connection, is tried again, and allocates nothing", async (_, message) => {
  await using server = await startMockServer({ on: { getMore: getMores(() => ({ message }), inserts(1)) } });
  await using trial = await trialOf(`${server.uri}&socketTimeoutMS=3000`, ["tail", "shop.orders"]);
  await using tail = trial.start(["--limit", "1"]);
  const { code, stderr } = await tail.done;
  expect([code, stderr]).toEqual([0, expect.stringContaining("trying again")]);
  expect(await trial.lines()).toHaveLength(1);
});
