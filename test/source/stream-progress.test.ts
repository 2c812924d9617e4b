/** Decision 003 as a table: when a change stream has passed a cluster time. */
import { describe, expect, test } from "bun:test";
import { hasPassed, type StreamProgress } from "../../src/source/stream-progress.ts";
import { after, empty, event, events, mark, opened, position, resumed, textOf, time, token } from "./stream-replies.ts";

const UNREADABLE = token("another server's own form");
const NEW = opened(mark(10), 9);
/** A fragment of an event, or an end, is behind the event of tick 20. */
const TAKEN = { takenTo: position(event(20), 20, 1) };
const WITHHELD = { withheld: textOf(event(21)) };

/** What has happened, the progress then, ticks that have been passed, and ticks that have not. */
type Row = readonly [string, StreamProgress, passed: readonly number[], notPassed: readonly number[]];

const REPLICA_SET: readonly Row[] = [
  // An event's token at T promises nothing: a transaction has many events of one time.
  [
    "the token of an event is of T: more of the same time may come",
    after(NEW, events(20, event(20))),
    [9, 10, 19],
    [20, 21],
  ],
  [
    "a second reply ends with an event of the same T",
    after(NEW, events(20, event(20)), events(20, event(20), {}, 2)),
    [19],
    [20],
  ],
  ["the token of an event is behind T", after(NEW, events(20, event(20)), events(21, event(21))), [20], [21]],
  // A high-water mark at T: the server has scanned all of T.
  ["a high-water mark of T comes behind the events of T", after(NEW, events(20, mark(20))), [19, 20], [21]],
  ["a high-water mark of T comes without events", after(NEW, empty(mark(20))), [20], [21]],
  [
    "a high-water mark is far ahead of the last event of its reply",
    after(NEW, events(20, mark(90))),
    [20, 89, 90],
    [91],
  ],
  [
    "a high-water mark of T comes although the majority is not known to have T",
    after(NEW, empty(mark(20), { majority: 9 })),
    [20],
    [21],
  ],
  // A reply without events means that nothing was left behind the token.
  [
    "an empty reply repeats the token of the last event",
    after(NEW, events(20, event(20)), empty(event(20))),
    [20],
    [21],
  ],
  [
    "an empty reply was followed by another event of T",
    after(NEW, events(20, event(20)), empty(event(20)), events(20, event(20), {}, 2)),
    [19],
    [20],
  ],
  // The first token of a new stream is one tick ahead of the last operation; an event of just that tick may come.
  ["a new stream has returned nothing", NEW, [8, 9], [10, 11]],
  [
    "a new stream has an empty reply that was requested when the majority was a tick behind T",
    after(NEW, empty(mark(10), { majority: 10 })),
    [9],
    [10],
  ],
  [
    "however often the first token comes back while the majority is behind",
    after(NEW, empty(mark(10), { majority: 9 }), empty(mark(10), { majority: 9 }), empty(mark(10), { majority: 10 })),
    [9],
    [10],
  ],
  [
    "the first token comes back in an empty reply that was requested when the majority had T",
    after(NEW, empty(mark(10), { majority: 10 }), empty(mark(10), { majority: 10 })),
    [10],
    [11],
  ],
  ["the majority had T when the stream was opened", after(opened(mark(10), 10), empty(mark(10))), [10], [11]],
  ["the majority had T when the stream was opened, but no empty reply has come", opened(mark(10), 10), [9], [10]],
  [
    "the majority had T, and falls behind it in a later reply: what was committed stays committed",
    after(opened(mark(10), 10), empty(mark(10), { majority: 5 }), empty(mark(10), { majority: 5 })),
    [10],
    [11],
  ],
  [
    "the server never says what the majority has",
    after(opened(mark(10), undefined), empty(mark(10)), empty(mark(10))),
    [9],
    [10],
  ],
  [
    "an event of just the tick of the first token has come",
    after(NEW, events(10, event(10), { majority: 10 })),
    [9],
    [10],
  ],
  [
    "a later high-water mark has replaced the first token",
    after(NEW, empty(mark(11), { majority: 9 })),
    [10, 11],
    [12],
  ],
  // A resumed stream.
  ["resumed behind an event of T: others of T may come", resumed(event(10), 10, 30), [9], [10]],
  [
    "resumed behind an event of T, then an empty reply",
    after(resumed(event(10), 10, 30), empty(event(10))),
    [10],
    [11],
  ],
  [
    "resumed behind an event of T, which was returned once: an empty reply is enough, whatever the majority has now",
    after(resumed(event(10), 10, 5), empty(event(10), { majority: 5 })),
    [10],
    [11],
  ],
  [
    "resumed at a high-water mark of T, then events of T and the same mark: it needs an empty reply",
    after(resumed(mark(10), 10, 30), events(10, mark(10))),
    [9],
    [10],
  ],
  ["resumed at a high-water mark, which says nothing of its own T", resumed(mark(10), 10, 30), [9], [10]],
  [
    "resumed at a high-water mark, then an empty reply that was requested when the majority had T",
    after(resumed(mark(10), 10, 30), empty(mark(10))),
    [10],
    [11],
  ],
  // Only a part of a reply is taken.
  [
    "a reply holds one fragment of a split event: the position stays, whatever the token of the reply",
    after(NEW, events(20, mark(30)), events(20, event(40), TAKEN)),
    [19],
    [20, 30, 40],
  ],
  [
    "an empty reply comes while an event is half received",
    after(NEW, events(20, event(20), TAKEN), empty(event(40), { ...TAKEN, empty: false })),
    [19],
    [20, 40],
  ],
  [
    "the last fragment of a split event has come, with a high-water mark",
    after(NEW, events(20, event(20), TAKEN), events(40, mark(40))),
    [20, 40],
    [41],
  ],
  // Invalidates.
  [
    "a withheld invalidate follows the drop that was returned",
    after(NEW, events(20, event(21), { ...TAKEN, ...WITHHELD })),
    [19],
    [20, 21],
  ],
  [
    "the token of a withheld invalidate comes back in an empty reply: the position stays at the drop",
    after(NEW, events(20, event(21), { ...TAKEN, ...WITHHELD }), empty(event(21), WITHHELD)),
    [20],
    [21],
  ],
  // An ended stream.
  [
    "a stream that has ended has passed nothing, so that the caller reads on and hears of the end",
    after(NEW, events(20, mark(90), { ended: true })),
    [],
    [1, 10, 20, 90],
  ],
  [
    "a stream stays ended behind the reply that held the end",
    after(NEW, events(20, mark(90), { ended: true }), empty(mark(91))),
    [],
    [20, 90],
  ],
  // A token whose form is unknown: time is known by events alone.
  ["a token of another form, behind an event of T", after(NEW, events(20, UNREADABLE)), [19], [20]],
  [
    "a token of another form, behind a later event",
    after(NEW, events(20, UNREADABLE), events(21, UNREADABLE)),
    [20],
    [21],
  ],
  [
    "a token of another form without events: it may be ahead, but that cannot be read",
    after(NEW, events(20, UNREADABLE), empty(UNREADABLE)),
    [20],
    [21],
  ],
];

/** Another shard may still have an event of T: only a token behind T will do. */
const SHARDED: readonly Row[] = [
  [
    "a high-water mark of T, since another shard may have an event of T",
    after(NEW, empty(mark(20), { majority: 30 })),
    [10, 19],
    [20],
  ],
  [
    "an empty reply at the token of an event of T",
    after(NEW, events(20, event(20), { majority: 30 }), empty(event(20), { majority: 30 })),
    [19],
    [20],
  ],
  ["a token behind T", after(NEW, empty(mark(21))), [20], [21]],
];

describe.each([
  ["on a replica set", false, REPLICA_SET],
  ["through mongos", true, SHARDED],
] as const)("hasPassed() %s", (_, sharded, rows: readonly Row[]) => {
  test.each(rows)("%s", (_what, progress, passed, notPassed) => {
    const isPassed = (n: number): boolean => hasPassed(progress, time(n), { sharded });
    expect(passed.filter((n) => !isPassed(n))).toEqual([]);
    expect(notPassed.filter((n) => isPassed(n))).toEqual([]);
  });
});
