import { describe, expect, test } from "bun:test";
import { MongotapError } from "../../src/errors.ts";
import type { CollectionState, StreamPosition } from "../../src/source/record.ts";
import { parseStreamState, resumptionOf, type StreamState, streamStateOf } from "../../src/state/stream-state.ts";
import { timeFrom } from "../support/states.ts";

const source = { setName: "rs", setId: "1" };
const LIVE: CollectionState = { phase: "live", copied: { documents: 2, ranges: 1 } };

function streamAt(n: number): StreamPosition {
  return { token: String(n), resume: "resumeAfter", time: timeFrom(n.toString(16).padStart(16, "0")), sequence: 1 };
}

function stateAt(n: number, more: Partial<StreamState> = {}): StreamState {
  return { formatVersion: 1, source, collection: LIVE, stream: streamAt(n), ...more };
}

function refusalOf(value: unknown): MongotapError {
  try {
    parseStreamState(value, "shop.a");
  } catch (error) {
    if (error instanceof MongotapError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

const dataOf = ({ token }: StreamPosition): string => token;

describe("a run begins", () => {
  test("without a position where there is no state", () => {
    expect(resumptionOf(new Map(), dataOf)).toEqual({ position: undefined, sentUpTo: new Map() });
  });

  test("at the earliest position of its streams, and knows which are ahead of it", () => {
    const states = new Map([
      ["shop.a", stateAt(5)],
      ["shop.b", stateAt(3, { copies: 2 })],
      ["shop.c", stateAt(3)],
      ["shop.d", stateAt(7, { copies: 4, losses: 1 })],
    ]);
    const { position, sentUpTo } = resumptionOf(states, dataOf);
    expect(position?.stream).toEqual(streamAt(3));
    expect(Object.keys(position?.collections ?? {})).toEqual(["shop.a", "shop.b", "shop.c", "shop.d"]);
    expect([position?.copies, position?.losses]).toEqual([4, 1]);
    expect([...sentUpTo]).toEqual([
      ["shop.a", streamAt(5)],
      ["shop.d", streamAt(7)],
    ]);
  });

  test("without the state of a collection that was dropped, although its stream has one", () => {
    const { collection: _, ...dropped } = stateAt(1);
    expect(resumptionOf(new Map([["shop.a", dropped]]), dataOf).position).toEqual({
      stream: streamAt(1),
      collections: {},
    });
  });
});

describe("the state of a stream", () => {
  test("is what the position says of its collection, and comes back the same", () => {
    const position = { stream: streamAt(2), collections: { "shop.a": LIVE, "shop.b": LIVE }, copies: 3 };
    const state = streamStateOf(position, "shop.a", { source, version: 9 });
    expect(parseStreamState(JSON.parse(JSON.stringify(state)), "a")).toEqual(state);
    expect(state).toEqual(stateAt(2, { copies: 3, version: 9 }));
    expect(resumptionOf(new Map([["shop.a", state]]), dataOf).position).toEqual({
      stream: streamAt(2),
      collections: { "shop.a": LIVE },
      copies: 3,
    });
  });

  test("may have keys that a platform has added", () => {
    expect(parseStreamState({ ...stateAt(1), added: true }, "a")).toEqual(stateAt(1));
  });

  test.each([
    ["of another program", { id: "65a0", status: "IN_PROGRESS" }],
    ["of a later version", { ...stateAt(1), formatVersion: 2 }],
    ["cut", { ...stateAt(1), stream: { token: "x" } }],
    ["text", "x"],
  ])("is refused where it is %s, with the stream and what to do", (_, value) => {
    const error = refusalOf(value);
    expect([error.kind, error.message]).toEqual([
      "state",
      expect.stringContaining("the state of the stream shop.a is not one of mongotap"),
    ]);
    expect(error.hint).toContain("Reset the stream");
  });
});
