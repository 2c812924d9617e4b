/** The states that Airbyte keeps: how they are read, and which of them follows which records. */

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { errorTrace } from "../../src/connectors/airbyte/messages.ts";
import { keyOf, parseStates } from "../../src/connectors/airbyte/state.ts";
import { StateWriter } from "../../src/connectors/airbyte/state-writer.ts";
import { readJsonLinesFile } from "../../src/connectors/json-file.ts";
import { MessageOutput } from "../../src/connectors/message-output.ts";
import { type Kind, MongotapError } from "../../src/errors.ts";
import { outputKeyOf } from "../../src/lib/output-key.ts";
import { type CollectionState, clusterTime, type Position, type StreamPosition } from "../../src/source/record.ts";
import { type StreamState, streamStateOf } from "../../src/state/stream-state.ts";
import { UnmarkedSink } from "../support/sink.ts";
import { rejectionOf } from "../support/rejection.ts";
import { tempDir } from "../support/temp.ts";
import type { StateMessage } from "./airbyte.ts";

const LIVE: CollectionState = { phase: "live", copied: { documents: 1, ranges: 1 } };

function positionAt(second: number, collections: Readonly<Record<string, CollectionState>>): Position {
  return { collections, stream: streamAt(second) };
}

function streamAt(second: number): StreamPosition {
  return { token: `token${second}`, resume: "resumeAfter", time: clusterTime(second, 1), sequence: 0 };
}

class Lines extends UnmarkedSink {
  text = "";

  async write(bytes: Uint8Array): Promise<void> {
    this.text += new TextDecoder().decode(bytes);
  }

  /** The states since the last call. */
  states(): readonly StateMessage[] {
    const lines = this.text.split("\n").filter((line) => line.startsWith('{"type":"STATE"'));
    this.text = "";
    return lines.map((line) => (JSON.parse(line) as { state: StateMessage }).state);
  }
}

const STREAMS = ["shop.a", "shop.b"].map((name) => ({ name, descriptor: { name } }));

function stateOf(position: Position, { name }: { readonly name: string }): StreamState {
  return streamStateOf(position, name, { source: { setName: "rs" } });
}

function recordOf(output: MessageOutput, name: string): Promise<void> {
  const bytes = new TextEncoder().encode('{"type":"RECORD"}\n');
  return output.write(bytes, [{ key: outputKeyOf(name), begin: 0, end: bytes.length, lines: 1 }]);
}

function namesOf(states: readonly StateMessage[]): readonly (string | undefined)[] {
  return states.map(({ stream }) => stream?.stream_descriptor.name);
}

describe("a state for each stream", () => {
  test("is written behind records, when a phase begins, and at the end; never twice the same", async () => {
    const lines = new Lines();
    const output = new MessageOutput(lines);
    const writer = new StateWriter(output, false, []);
    const save = (position: Position, isForAll = false): Promise<void> =>
      writer.save(position, { streams: STREAMS, stateOf, isForAll });
    const pinned: CollectionState = { phase: "pinned", uuid: "u" };
    await save(positionAt(1, { "shop.a": pinned, "shop.b": pinned }));
    expect(namesOf(lines.states())).toEqual(["shop.a", "shop.b"]);
    await save(positionAt(2, { "shop.a": pinned, "shop.b": pinned }));
    expect(lines.states()).toEqual([]);
    await recordOf(output, "shop.b");
    await save(positionAt(3, { "shop.a": pinned, "shop.b": pinned }));
    const [state, ...more] = lines.states();
    expect(more).toEqual([]);
    expect(state).toMatchObject({ stream: { stream_descriptor: { name: "shop.b" } }, sourceStats: { recordCount: 1 } });
    await save(positionAt(4, { "shop.a": LIVE, "shop.b": pinned }));
    expect(namesOf(lines.states())).toEqual(["shop.a"]);
    await save(positionAt(5, { "shop.a": LIVE, "shop.b": LIVE }), true);
    expect(namesOf(lines.states())).toEqual(["shop.a", "shop.b"]);
    await save(positionAt(5, { "shop.a": LIVE, "shop.b": LIVE }), true);
    expect(lines.states()).toEqual([]);
  });
});

describe("one state for all streams", () => {
  test("has every stream that the platform knows, each with its own position where that is another", async () => {
    const lines = new Lines();
    const output = new MessageOutput(lines);
    const state = stateOf(positionAt(1, { "shop.other": LIVE }), { name: "shop.other" });
    const other = { stream: { name: "shop.other" }, state };
    const writer = new StateWriter(output, true, [other]);
    const ahead = stateOf(positionAt(9, { "shop.b": LIVE }), { name: "shop.b" });
    const [a, b] = STREAMS;
    if (a === undefined || b === undefined) throw new Error("two streams");
    writer.begin(b, ahead);
    const whole = { name: "shop.whole", descriptor: { name: "shop.whole" } };
    await recordOf(output, "shop.a");
    await writer.save(positionAt(5, { "shop.a": LIVE, "shop.b": LIVE }), {
      streams: STREAMS,
      stateOf: (position, stream) => (stream.name === "shop.b" ? ahead : stateOf(position, stream)),
      isForAll: true,
    });
    await recordOf(output, "shop.whole");
    const copying: CollectionState = {
      phase: "copying",
      uuid: "u",
      ranges: [{ done: false, documents: 1, last: "x" }],
    };
    await writer.save({ collections: { "shop.whole": copying } }, { streams: [whole], stateOf, isForAll: true });
    const states = lines.states();
    expect(states.map(({ sourceStats }) => sourceStats.recordCount)).toEqual([1, 1]);
    const read = parseStates(states.slice(-1));
    const positions = [...read].map(([key, { state }]) => [key, (state as Partial<StreamState>).stream?.token]);
    expect(Object.fromEntries(positions)).toEqual({
      [keyOf({ name: "shop.a" })]: "token5",
      [keyOf({ name: "shop.b" })]: "token9",
      [keyOf({ name: "shop.other" })]: "token1",
      [keyOf({ name: "shop.whole" })]: undefined,
    });
  });
});

describe("states that come back", () => {
  const body = { stream_descriptor: { name: "a" }, stream_state: { x: 1 } };
  test.each([
    [[{ type: "STREAM", stream: body }]],
    [{ type: "STREAM", stream: body }],
    [[{ type: "STATE", state: { type: "STREAM", stream: body } }]],
    [[{ type: "STREAM", stream: { ...body, stream_descriptor: { name: "a", namespace: null } }, data: null }]],
    [[{ type: "GLOBAL", global: { shared_state: {}, stream_states: [body] } }]],
    [[{ type: "GLOBAL", global_: { shared_state: null, stream_states: [body] } }]],
  ])("are found in %j", (value) => {
    expect([...parseStates(value).values()]).toEqual([{ stream: { name: "a" }, state: { x: 1 } }]);
  });

  test.each([[undefined], [null], [[]], [{}], [""], [[{ type: "STREAM", stream: { ...body, stream_state: null } }]]])(
    "%j has none",
    (value) => {
      expect(parseStates(value).size).toBe(0);
    },
  );

  test("of several states of a stream the last counts, also where it is empty", () => {
    const of = (state: unknown): object => ({ type: "STREAM", stream: { ...body, stream_state: state } });
    expect([...parseStates([of({ x: 2 }), of({ x: 3 })]).values()]).toEqual([
      { stream: { name: "a" }, state: { x: 3 } },
    ]);
    expect(parseStates([of({ x: 2 }), of(null)]).size).toBe(0);
  });

  test("the STATE lines of a read are a file of states; a line that was cut is named", async () => {
    await using dir = await tempDir();
    const read = async (text: string): Promise<unknown> => {
      writeFileSync(dir.join("state"), text);
      return await readJsonLinesFile(dir.join("state"), "--state state");
    };
    const [first, last] = [2, 3].map((x) => ({ type: "STREAM", stream: { ...body, stream_state: { x } } }));
    const lines = [first, last].map((state) => `${JSON.stringify({ type: "STATE", state })}\n`).join("");
    const states = [{ stream: { name: "a" }, state: { x: 3 } }];
    for (const text of [lines, `\n${lines.replaceAll("\n", "\r\n\r\n")}`, JSON.stringify([first, last], null, 2)]) {
      expect([...parseStates(await read(text)).values()]).toEqual(states);
    }
    expect(await read(" \n")).toBeUndefined();
    expect((await rejectionOf(read(lines.slice(0, -9)))).message).toBe("--state state:2 is not JSON");
    expect((await rejectionOf(read('[\n{"type":\n]'))).message).toStartWith("--state state:3:1 is not valid JSON");
    const record = await read(`{"type":"RECORD","record":{}}\n${lines}`);
    expect(() => parseStates(record)).toThrow("it holds no state of a stream");
  });

  test("streams of one name in two namespaces have states of their own", () => {
    const of = (namespace: string): object => ({ stream: { ...body, stream_descriptor: { name: "a", namespace } } });
    expect([...parseStates([of("x"), of("y")]).keys()]).toEqual(['["x","a"]', '["y","a"]']);
  });

  test.each([
    [{ bookmarks: { a: { x: 1 } } }],
    [[{ cursor: 1 }]],
    ["abc"],
    [[5]],
    [[{ type: "STREAM", stream: { stream_state: { x: 1 } } }]],
    [[{ type: "STREAM" }]],
    [[{ type: "STATE", state: { type: "GLOBAL", global: { shared_state: { x: 1 } } } }]],
    [[{ type: "STREAM", stream: body }, { type: "RECORD" }]],
  ])("%j is refused: everything would be copied again in silence", (value) => {
    expect(() => parseStates(value)).toThrow("the state is not one of mongotap: it ");
  });

  test("one for no stream is refused, unless it is empty", () => {
    expect(() => parseStates([{ type: "LEGACY", data: { cursor: 1 } }])).toThrow("of the type LEGACY");
    expect(parseStates([{ type: "LEGACY", data: {}, sourceStats: { recordCount: 0 } }]).size).toBe(0);
  });
});

test("an error says whether a later attempt may succeed: also where the collection was made anew during its copy", () => {
  const failureOf = (kind: Kind): unknown => errorTrace(new MongotapError(kind, ""), "")["trace"];
  expect(failureOf("ended")).toMatchObject({ error: { failure_type: "transient_error" } });
  expect(failureOf("auth")).toMatchObject({ error: { failure_type: "config_error" } });
  expect(failureOf("bug")).toMatchObject({ error: { failure_type: "system_error" } });
});
