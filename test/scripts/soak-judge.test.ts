/** The judge of the soak must fail when it should: each test plants one fault in a correct output. */

import { describe, expect, test } from "bun:test";
import { Timestamp } from "mongodb";
import { contentOf } from "../../scripts/soak/content.ts";
import { type Case, judge, KINDS, type Kind } from "../../scripts/soak/judge.ts";
import { readLines } from "../../scripts/soak/lines.ts";
import { type OplogEntry, proofOf, Truth, versionAt } from "../../scripts/soak/truth.ts";

const START = 0x6b000000;

/** The cluster time number `n`, one each second. */
const timeOf = (n: number): string => `${(START + n).toString(16)}00000001`;

function entry(n: number, op: string, name: string, o: Record<string, unknown>, more: Partial<OplogEntry>): OplogEntry {
  return { op, ns: `soak.${name}`, ts: new Timestamp({ t: START + n, i: 1 }), o, ...more };
}

const ui = (uuid: string): Partial<OplogEntry> => ({ ui: uuid });
const create = (n: number, name: string, uuid: string): OplogEntry => entry(n, "c", "$cmd", { create: name }, ui(uuid));
const drop = (n: number, name: string, uuid: string): OplogEntry => entry(n, "c", "$cmd", { drop: name }, ui(uuid));
const rename = (n: number, from: string, to: string, uuid: string): OplogEntry =>
  entry(n, "c", "$cmd", { renameCollection: `soak.${from}`, to: `soak.${to}` }, ui(uuid));
const insert = (n: number, name: string, uuid: string, key: string, v: number): OplogEntry =>
  entry(n, "i", name, { ...contentOf(key, v) }, ui(uuid));
const update = (n: number, name: string, uuid: string, key: string, v: number): OplogEntry =>
  entry(n, "u", name, { $v: 2, diff: { u: { v } } }, { ui: uuid, o2: { _id: key } });
const remove = (n: number, name: string, uuid: string, key: string): OplogEntry =>
  entry(n, "d", name, { _id: key }, ui(uuid));

/** `a` exists when the capture begins (time 3), is changed, and replaced by `b` at 9, which is then changed as `a`. */
const HISTORY: readonly OplogEntry[] = [
  create(0, "a", "A"),
  insert(1, "a", "A", "k", 1),
  insert(2, "a", "A", "m", 2),
  update(4, "a", "A", "k", 3),
  update(5, "a", "A", "k", 4),
  remove(6, "a", "A", "m"),
  create(7, "b", "B"),
  insert(8, "b", "B", "k", 5),
  rename(9, "b", "a", "B"),
  update(10, "a", "B", "k", 6),
];

interface LineOptions {
  readonly more?: Record<string, unknown>;
  readonly sequence?: string;
}

function line(
  n: number,
  op: string,
  key: string,
  v: number | undefined,
  { more = {}, sequence = "00000001" }: LineOptions = {},
): string {
  const source = { db: "soak", collection: "a" };
  const body = v === undefined ? { _id: key } : contentOf(key, v);
  return JSON.stringify({ ...body, _meta: { op, source, ...more, ts_ms: 1, order: timeOf(n) + sequence } });
}

const row = (n: number, key: string, v: number, copy = {}): string =>
  line(n, "c", key, v, { more: { snapshot: true, ...copy }, sequence: "ffffffff" });
const end = (n: number, reason: string): string =>
  JSON.stringify({
    _meta: { op: "t", source: { db: "soak", collection: "a" }, reason, ts_ms: 1, order: `${timeOf(n)}00000001` },
  });

const LINES: readonly string[] = [
  row(3, "k", 1),
  row(3, "m", 2),
  line(4, "u", "k", 3),
  line(5, "u", "k", 4),
  line(6, "d", "m", undefined),
  end(9, "replaced"),
  row(9, "k", 5, { copy: 2 }),
  line(10, "u", "k", 6),
];

function truthOf(history: readonly OplogEntry[]): Truth {
  const truth = new Truth();
  for (const one of history) truth.add(one);
  return truth;
}

const DATABASE = new Map([["soak.a", new Map([["k", JSON.stringify(contentOf("k", 6))]])]]);

function verdictOn(lines: readonly string[], changed: Partial<Case> = {}): ReturnType<typeof judge> {
  const text = lines.map((one) => `${one}\n`).join("");
  return judge({
    truth: truthOf(HISTORY),
    files: [readLines(text, "out")],
    isBound: (name) => name === "soak.a",
    pinnedAt: timeOf(3),
    losses: [],
    restarts: [],
    database: DATABASE,
    ...changed,
  });
}

function kindsOf(lines: readonly string[], changed: Partial<Case> = {}): Kind[] {
  const { counts } = verdictOn(lines, changed);
  return KINDS.filter((kind) => counts[kind] > 0);
}

test("a right output has no fault", () => {
  const verdict = verdictOn(LINES);
  expect(verdict.faults).toEqual([]);
  expect(verdict).toMatchObject({ lines: 8, rows: 3, events: 4, ends: 1, inexact: {} });
});

test("the truth is what the oplog says, at each time and in the end", () => {
  const truth = truthOf(HISTORY);
  const at = (n: number): unknown => versionAt(truth.collectionAt("soak.a", timeOf(n)), "k", timeOf(n));
  expect([0, 1, 4, 5, 8, 9, 10].map(at)).toEqual([undefined, 1, 3, 4, 4, 5, 6]);
  expect(proofOf(truth, new Set([1, 3, 6]), DATABASE)).toEqual([]);
  expect(proofOf(truth, new Set([7]), DATABASE)).toEqual(["write 7 was acknowledged"]);
  expect(proofOf(truth, new Set(), new Map([["soak.a", new Map()]]))).toHaveLength(1);
});

describe("lost", () => {
  for (const [i, what] of ["update", "update", "delete"].entries())
    test(`an event that has no line: ${what} ${i + 2}`, () =>
      expect(kindsOf(LINES.toSpliced(i + 2, 1))).toContain("lost"));
  test("the last event", () => expect(kindsOf(LINES.slice(0, -1))).toEqual(["lost", "stale"]));
  test("the end of a collection that has no line", () => expect(kindsOf(LINES.toSpliced(5, 1))).toContain("lost"));
  test("a copied document of the end", () => {
    const database = new Map([
      ["soak.a", new Map([...(DATABASE.get("soak.a") ?? []), ["n", JSON.stringify(contentOf("n", 9))]])],
    ]);
    const truth = truthOf(HISTORY.toSpliced(8, 0, insert(8, "b", "B", "n", 9)));
    expect(kindsOf(LINES, { database, truth })).toEqual(["lost"]);
  });
  test("a new copy though no history was lost", () =>
    expect(kindsOf([...LINES, end(11, "copied again"), row(12, "k", 6)])).toEqual(["lost"]));
  test("everything", () => expect(kindsOf([])).toEqual(["lost"]));
});

describe("repeated", () => {
  for (const i of [2, 3, 4, 5, 7])
    test(`line ${i + 1}`, () => expect(kindsOf(LINES.toSpliced(i, 0, LINES[i] ?? ""))).toContain("repeated"));
  for (const i of [0, 6])
    test(`copied document, line ${i + 1}`, () =>
      expect(kindsOf(LINES.toSpliced(i, 0, LINES[i] ?? ""))).toEqual(["repeated"]));
});

test("reordered: two lines that change places", () => {
  for (let i = 2; i < LINES.length - 1; i += 1)
    if (i !== 5) expect(kindsOf(LINES.with(i, LINES[i + 1] ?? "").with(i + 1, LINES[i] ?? ""))).toContain("reordered");
});

describe("ghosts", () => {
  test("an event that never happened", () =>
    expect(kindsOf(LINES.toSpliced(3, 0, line(4, "u", "x", 3)))).toContain("ghosts"));
  test("a document that was not there when it was copied", () =>
    expect(kindsOf(LINES.toSpliced(6, 0, row(9, "m", 2, { copy: 2 })))).toEqual(["ghosts"]));
  test("what a collection held before it was replaced, without the line that says so", () => {
    const late = LINES.toSpliced(4, 2); // the delete and the end
    expect(kindsOf(late)).toEqual(["lost", "repeated", "ghosts"]);
  });
  test("an end that never was", () => expect(kindsOf(LINES.toSpliced(3, 0, end(4, "renamed")))).toContain("ghosts"));
  test("a collection that is not bound", () => expect(kindsOf(LINES, { isBound: () => false })).toEqual(["ghosts"]));
});

/** The same before the collection is replaced. */
const QUIET: Partial<Case> = {
  truth: truthOf(HISTORY.slice(0, 6)),
  database: new Map([["soak.a", new Map([["k", JSON.stringify(contentOf("k", 4))]])]]),
};

describe("stale", () => {
  test("an update that shows a later version", () =>
    expect(kindsOf(LINES.with(2, line(4, "u", "k", 4)))).toEqual(["stale"]));
  test("an update that shows an earlier version", () =>
    expect(kindsOf(LINES.with(3, line(5, "u", "k", 3)))).toEqual(["stale"]));
  test("a copied document of another time", () =>
    expect(kindsOf(LINES.with(6, row(9, "k", 4, { copy: 2 })))).toEqual(["stale"]));
  test("an update without its document", () => {
    const missing = LINES.with(2, line(4, "u", "k", undefined, { more: { missing: "unavailable" } }));
    expect(kindsOf(missing)).toEqual([]); // the collection was replaced soon after
    expect(kindsOf(missing.slice(0, 5), QUIET)).toEqual(["stale"]);
    expect(kindsOf(LINES.with(2, line(4, "u", "k", undefined, { more: { missing: "deleted" } })))).toEqual(["stale"]);
  });
  test("a version before the change that was another one", () => {
    expect(kindsOf(LINES.with(3, line(5, "u", "k", 4, { more: { before: contentOf("k", 3) } })))).toEqual([]);
    expect(kindsOf(LINES.with(3, line(5, "u", "k", 4, { more: { before: contentOf("k", 1) } })))).toEqual(["stale"]);
  });
  test("a line that may be newer, where nothing explains it", () => {
    const inexact = LINES.with(2, line(4, "u", "k", 4, { more: { exact: false } }));
    expect(kindsOf(inexact.slice(0, 5), QUIET)).toEqual(["stale"]);
    expect(kindsOf(inexact.slice(0, 5), { ...QUIET, restarts: [timeOf(20).slice(0, 8)] })).toEqual([]);
    expect(kindsOf(inexact.slice(0, 5), { ...QUIET, restarts: [timeOf(200).slice(0, 8)] })).toEqual(["stale"]);
    expect(kindsOf(inexact)).toEqual([]); // the collection was replaced soon after
    expect(verdictOn(inexact).inexact).toEqual({ replacement: 1 });
  });
  test("a line that may be newer, and shows another collection's document", () =>
    expect(kindsOf(LINES.with(2, line(4, "u", "k", 5, { more: { exact: false } })))).toEqual(["stale"]));
});

describe("garbled", () => {
  test("a torn line", () => expect(kindsOf(LINES.with(3, (LINES[3] ?? "").slice(0, 40)))).toContain("garbled"));
  test("a file without its last newline", () => {
    const text = LINES.join("\n");
    expect(kindsOf([], { files: [readLines(text, "out")] })).toEqual(["garbled"]);
  });
  test("a document whose fields are not those of its version", () => {
    const wrong = (LINES[3] ?? "").replace('"list":', '"lost":');
    expect(kindsOf(LINES.with(3, wrong))).toEqual(["garbled"]);
  });
  test("an end with another reason", () => expect(kindsOf(LINES.with(5, end(9, "dropped")))).toEqual(["garbled"]));
});

describe("history that was lost", () => {
  // The event at 5 and the delete at 6 came while the history was taken away; the stream begins again at 7.
  const again = [...LINES.slice(0, 3), end(7, "copied again"), row(7, "k", 4, { copy: 2 }), ...LINES.slice(5)];
  const LOST = [timeOf(6).slice(0, 8)];
  test("explains what is missing before the new copy", () => {
    expect(kindsOf(again, { losses: LOST })).toEqual([]);
    expect(kindsOf(again)).toEqual(["lost"]);
  });
  test("explains nothing at another time", () => {
    expect(kindsOf(again, { losses: [timeOf(3).slice(0, 8)] })).toContain("lost");
  });
  test("has no line of its own where nothing was void", () => {
    // Behind the drop nothing is known; the collection is created anew and changed while nothing is read.
    const history = [
      ...HISTORY.slice(0, 3),
      drop(4, "a", "A"),
      create(5, "a", "C"),
      insert(5, "a", "C", "k", 7),
      update(6, "a", "C", "k", 8),
      update(9, "a", "C", "k", 9),
    ];
    const lines = [...LINES.slice(0, 2), end(4, "dropped"), row(8, "k", 8), line(9, "u", "k", 9)];
    const database = new Map([["soak.a", new Map([["k", JSON.stringify(contentOf("k", 9))]])]]);
    const changed = { truth: truthOf(history), database };
    expect(kindsOf(lines, { ...changed, losses: LOST })).toEqual([]);
    expect(kindsOf(lines, changed)).toEqual(["lost"]);
    expect(kindsOf(lines, { ...changed, losses: [timeOf(9).slice(0, 8)] })).toEqual(["lost"]);
  });
  test("explains nothing that is missing behind it", () => {
    expect(kindsOf(again.slice(0, -1), { losses: LOST })).toContain("lost");
  });
  test("explains the end of a collection that was dropped meanwhile", () => {
    const history = [...HISTORY.slice(0, 6), drop(7, "a", "A")];
    const lines = [...LINES.slice(0, 3), end(9, "dropped")];
    const changed = { truth: truthOf(history), database: new Map(), losses: LOST };
    expect(kindsOf(lines, changed)).toEqual([]);
    expect(kindsOf(lines, { ...changed, losses: [] })).toEqual(["lost"]);
  });
});

test("in a transaction updates of one document show the last version, and one that is deleted in it shows none", () => {
  const inner = (op: string, o: Record<string, unknown>, more: Partial<OplogEntry> = {}): unknown => ({
    op,
    ns: "soak.a",
    ui: "A",
    o,
    ...more,
  });
  const at = { o2: { _id: "k" } };
  const updates = [3, 4].map((v) => inner("u", { diff: { u: { v } } }, at));
  const both = (ops: unknown[]): Truth =>
    truthOf([...HISTORY.slice(0, 3), entry(4, "c", "x", { applyOps: ops }, { ns: "admin.$cmd" })]);
  const second = { sequence: "00000002" };
  const rows = LINES.slice(0, 2);
  const document = (key: string, v: number): [string, string] => [key, JSON.stringify(contentOf(key, v))];
  const database = new Map([["soak.a", new Map([document("k", 4), document("m", 2)])]]);
  const good = [...rows, line(4, "u", "k", 4), line(4, "u", "k", 4, second)];
  expect(kindsOf(good, { truth: both(updates), database })).toEqual([]);
  expect(kindsOf(good.slice(0, -1), { truth: both(updates), database })).toEqual(["lost"]);
  const deleted = [
    ...rows,
    line(4, "u", "k", undefined, { more: { missing: "deleted" } }),
    line(4, "d", "k", undefined, second),
  ];
  const left = new Map([["soak.a", new Map([document("m", 2)])]]);
  const truth = both([updates[0], inner("d", { _id: "k" })]);
  expect(kindsOf(deleted, { truth, database: left })).toEqual([]);
});

test("both envelopes are read alike", () => {
  const change = `{"op":"u","source":{"db":"soak","collection":"a"},"key":{"_id":"k"},"document":${JSON.stringify(contentOf("k", 3))},"exact":false,"ts_ms":1,"order":"${timeOf(4)}00000001"}`;
  const meta = line(4, "u", "k", 3, { more: { exact: false } });
  const [a, b] = [change, meta].map((text) => readLines(`${text}\n`, "out").lines[0]);
  expect(a).toBeDefined();
  expect(a).toEqual(b);
});
