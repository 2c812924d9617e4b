/** The state that Flow keeps: what the patches of a session make of it, and what the next session reads. */
import { describe, expect, test } from "bun:test";
import { Checkpoints } from "../../src/connectors/flow/checkpoints.ts";
import type { FlowBinding } from "../../src/connectors/flow/requests.ts";
import { mergePatch, parseFlowState, StateMaker } from "../../src/connectors/flow/state.ts";
import { Stop } from "../../src/lib/process.ts";
import { clusterTime, type CollectionState, type Position } from "../../src/source/record.ts";
import { mergePatch as applied } from "./flow-runtime.ts";

const SOURCE = { setName: "rs0", setId: "65f0c0ffee0000000000abcd" };
const BINDINGS: readonly FlowBinding[] = ["a", "b", "c"].map((collection) => ({
  namespace: { db: "shop", collection },
  stateKey: `shop%2F${collection}`,
}));

const PINNED: CollectionState = { phase: "pinned", uuid: null };
const COPYING: CollectionState = {
  phase: "copying",
  uuid: null,
  copy: 2,
  ranges: [{ from: "AAA", last: "BBB", done: false, documents: 3 }],
};
const LIVE: CollectionState = { phase: "live", copied: { documents: 3, ranges: 1 } };

function positionOf(n: number, a: CollectionState | undefined, b: CollectionState, filtered = false): Position {
  const collections = { ...(a === undefined ? {} : { "shop.a": a }), "shop.b": b };
  const filter = filtered ? { filter: [{ db: "shop", collection: "a" }] } : {};
  return {
    stream: { token: `token ${n}`, resume: "resumeAfter", time: clusterTime(n, 1), sequence: 0, ...filter },
    collections,
    ...(n === 3 ? { copies: 2, losses: 1 } : {}),
  };
}

const POSITIONS = [
  positionOf(1, PINNED, PINNED),
  positionOf(2, COPYING, PINNED, true),
  positionOf(3, LIVE, { phase: "stale", voided: false }),
  positionOf(4, undefined, COPYING, true),
  positionOf(5, LIVE, LIVE),
];

test("a session that resumes at any checkpoint has its position, though the state was only patched", () => {
  let state: unknown = {};
  let sent = {};
  const states = new StateMaker(BINDINGS, SOURCE);
  for (const position of POSITIONS) {
    const next = states.at(position);
    state = applied(state, JSON.parse(JSON.stringify(mergePatch(sent, next))));
    sent = next;
    const { from, source, known } = parseFlowState(state as Record<string, unknown>, BINDINGS);
    expect(from.position).toEqual(position);
    expect([source, known]).toEqual([SOURCE, BINDINGS]);
  }
});

test("a patch has what has changed alone, and nothing where nothing has", () => {
  const states = new StateMaker(BINDINGS, SOURCE);
  const first = states.at(positionOf(1, LIVE, LIVE));
  expect(mergePatch(first, states.at(positionOf(1, { ...LIVE }, LIVE)))).toBeUndefined();
  const second = states.at(positionOf(2, LIVE, { phase: "stale", voided: true }));
  expect(mergePatch(first, second)).toEqual({
    stream: { token: "token 2", time: clusterTime(2, 1) },
    bindingStateV1: { "shop%2Fb": { collection: { phase: "stale", voided: true, copied: null } } },
  });
});

test("what the runtime has beside it, and bindings that are no more, are removed", () => {
  const states = new StateMaker(BINDINGS.slice(0, 1), SOURCE);
  const before = { databaseResumeTokens: { x: "A" }, bindingStateV1: { "shop%2Fz": {}, "shop%2Fa": { backfill: 1 } } };
  const patch = mergePatch(before, states.at(positionOf(1, LIVE, LIVE)));
  expect(applied(before, patch)).toEqual(JSON.parse(JSON.stringify(states.at(positionOf(1, LIVE, LIVE)))));
});

test("only the bindings whose keys are in the state are known; without any, the state says nothing", () => {
  const state = JSON.parse(JSON.stringify(new StateMaker(BINDINGS, SOURCE).at(positionOf(1, LIVE, LIVE)))) as object;
  const raised = BINDINGS.map((binding) => ({ ...binding, stateKey: `${binding.stateKey}.v1` }));
  const mixed = [...raised.slice(0, 2), ...BINDINGS.slice(2)];
  expect(parseFlowState({ ...state }, mixed).known).toEqual(BINDINGS.slice(2));
  expect(parseFlowState({ ...state }, mixed).from.position?.collections).toEqual({});
  const none = { from: { position: undefined, sentUpTo: new Map() }, source: undefined, known: [] };
  expect(parseFlowState({ ...state }, raised)).toEqual(none);
  expect(parseFlowState({ another: "connector's" }, BINDINGS)).toEqual(none);
});

test.each([
  ["no version of ours", { formatVersion: 7 }],
  ["a token that is no text", { stream: { token: 1 } }],
  ["another connector's binding", { bindingStateV1: { "shop%2Fa": { collection: { phase: "done" } } } }],
])("a state with %s is refused, with what to do", (_, wrong) => {
  const state = { ...new StateMaker(BINDINGS, SOURCE).at(positionOf(1, LIVE, LIVE)), ...wrong };
  expect(() => parseFlowState(state, BINDINGS)).toThrow("is not one of mongotap");
  try {
    parseFlowState(state, BINDINGS);
  } catch (error) {
    expect(error).toMatchObject({ kind: "state", hint: expect.stringContaining("backfill counters") as string });
  }
});

describe("Checkpoints", () => {
  const never = new AbortController().signal;

  test("areCommitted() resolves with the acknowledgement of the last one", async () => {
    const checkpoints = new Checkpoints();
    await checkpoints.areCommitted(never);
    checkpoints.onSent();
    checkpoints.onSent();
    let isCommitted = false;
    const committed = checkpoints.areCommitted(never).then(() => (isCommitted = true));
    checkpoints.onAcknowledged(1);
    await new Promise(setImmediate);
    expect(isCommitted).toBe(false);
    checkpoints.onAcknowledged(1);
    expect(await committed).toBe(true);
    expect(checkpoints.text).toBe("Flow has acknowledged 2 of 2 checkpoints so far");
  });

  test("areCommitted() waits no longer than its signal", async () => {
    const checkpoints = new Checkpoints();
    checkpoints.onSent();
    const stop = new AbortController();
    const committed = checkpoints.areCommitted(stop.signal);
    stop.abort(new Stop({ kind: "input" }));
    await committed;
  });

  test("more acknowledgements than checkpoints are refused", () => {
    const checkpoints = new Checkpoints();
    checkpoints.onSent();
    checkpoints.onAcknowledged(1);
    expect(() => checkpoints.onAcknowledged(1)).toThrow(
      "Flow has acknowledged 2 checkpoints, more than the 1 that mongotap has sent",
    );
    checkpoints.onSent();
    expect(checkpoints.text).toBeUndefined();
  });
});
