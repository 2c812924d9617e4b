/** Which position a change stream has behind a reply. */
import { describe, expect, test } from "bun:test";
import { advance, beginProgress, startsAfter } from "../../src/source/stream-progress.ts";
import {
  after,
  empty,
  event,
  events,
  FILTER,
  mark,
  opened,
  position,
  resumed,
  textOf,
  time,
} from "./stream-replies.ts";

const NEW = opened(mark(10), 9);

describe("the position", () => {
  test("is the server's own token, which may be far behind the last event", () => {
    const { position: at } = after(NEW, events(20, mark(90), {}, 3));
    expect(at).toEqual(position(mark(90), 90));
  });

  test("behind an event counts the events of its time, and knows by which filter the event was let through", () => {
    const { position: at } = after(NEW, events(20, event(20), {}, 3));
    expect(at).toEqual({ ...position(event(20), 20, 3), filter: FILTER });
  });

  test("counts on over an empty reply at the same time", () => {
    const { position: at } = after(NEW, events(20, event(20), {}, 3), empty(event(20)));
    expect(at.sequence).toBe(3);
  });

  test("behind a high-water mark at the time of an event counts that event, and knows no filter", () => {
    const { position: at } = after(NEW, events(20, mark(20), {}, 3));
    expect(at).toEqual(position(mark(20), 20, 3));
  });

  test("behind an invalidate can only be resumed with startAfter, until the stream has moved on", () => {
    const behind = after(NEW, events(20, event(20), { invalidated: true }));
    expect(behind.position.resume).toBe("startAfter");
    const again = beginProgress({ token: event(20), operationTime: time(20), filter: FILTER }, behind.position);
    expect(again.position).toEqual(behind.position);
    expect(after(again, empty(mark(30))).position.resume).toBe("resumeAfter");
  });

  test("stays behind the last event taken where a reply holds more, and where only a withheld invalidate follows", () => {
    const taken = position(event(20), 20, 1);
    const behind = after(NEW, events(20, event(21), { takenTo: taken, withheld: textOf(event(21)) }));
    expect(behind.position).toEqual(taken);
    expect(after(behind, empty(event(21), { withheld: textOf(event(21)) })).position).toEqual(taken);
    expect(after(behind, empty(mark(30), { withheld: textOf(event(21)) })).position).toEqual(position(mark(30), 30));
  });

  test("cannot be known without a token of the server", () => {
    const reply = { token: undefined, operationTime: time(9), filter: FILTER };
    expect(() => beginProgress(reply, undefined)).toThrow("no post-batch resume token");
    expect(() => advance(NEW, { ...reply, empty: true }, undefined)).toThrow("no post-batch resume token");
  });
});

describe("startsAfter(): no copy that is merged with the stream may be older", () => {
  test.each([
    ["the tick before the first token, where the majority is behind the server", opened(mark(10), 5), 9],
    ["what the majority has, where that is later", opened(mark(10), 15), 15],
    ["the event that is resumed behind", resumed(event(10), 10, 5), 10],
    ["the tick before the high-water mark that is resumed behind", resumed(mark(10), 10, 5), 9],
  ] as const)("%s", (_, progress, n) => {
    expect(startsAfter(progress)).toBe(time(n));
  });
});
