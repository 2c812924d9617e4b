/**
 * The states that Airbyte keeps for its streams: one for each (STREAM), or one for all (GLOBAL). What comes back is read
 * leniently: with nulls, with states of streams that are not read, of either type, and as all states of a read.
 */

import * as v from "valibot";

import { MongotapError } from "../../errors.ts";
import { isJsonObject } from "../../lib/json-object.ts";
import type { StreamDescriptor } from "../../protocol/airbyte.ts";
import type { StreamPosition } from "../../source/record.ts";
import type { StreamState } from "../../state/stream-state.ts";
import type { Message } from "./messages.ts";

const descriptor = v.object({ name: v.string(), namespace: v.optional(v.nullable(v.string())) });
const streamState = v.object({ stream_descriptor: descriptor, stream_state: v.optional(v.unknown()) });
const globalState = v.object({
  shared_state: v.optional(v.nullable(v.record(v.string(), v.unknown()))),
  stream_states: v.array(streamState),
});

/** The state of a stream; as the platform has it, where it has not been parsed. */
export interface StateOf<State = unknown> {
  readonly stream: StreamDescriptor;
  readonly state: State;
}

/** In place of the position of a stream, where that is the one of all. */
const SHARED = "shared";

/**
 * Returns the states by `keyOf` of their streams, of several states of a stream the last. Those that are empty are left out:
 * such a stream was reset.
 * @throws MongotapError `state` for anything else: to copy everything again without saying so would be wrong
 */
export function parseStates(value: unknown): ReadonlyMap<string, StateOf> {
  const states = new Map<string, StateOf>();
  const add = ({ stream_descriptor: descriptor, stream_state: state }: v.InferOutput<typeof streamState>): void => {
    const { name, namespace } = descriptor;
    const stream = { name, ...(namespace === undefined || namespace === null ? {} : { namespace }) };
    if (isEmpty(state)) states.delete(keyOf(stream));
    else states.set(keyOf(stream), { stream, state });
  };
  for (const body of bodiesOf(value)) {
    const { type, data, stream, global, global_, sourceStats: _, destinationStats: __, ...others } = body;
    const one = v.safeParse(streamState, stream);
    if (one.success) add(one.output);
    const all = v.safeParse(globalState, global ?? global_);
    if (all.success) for (const each of all.output.stream_states) add(withShared(each, all.output.shared_state));
    if (one.success || all.success) continue;
    if (!isEmpty(data)) throw foreign("it is of the type LEGACY");
    const isKnown = type === undefined || type === null || type === "LEGACY";
    if (!isKnown || Object.values({ ...others, stream, global, global_ }).some((part) => !isEmpty(part))) {
      throw foreign("it holds no state of a stream");
    }
  }
  return states;
}

function foreign(why: string): MongotapError {
  return new MongotapError("state", `the state is not one of mongotap: ${why}`, {
    hint: "Reset the connection in the platform, so that its streams are copied again.",
  });
}

function isEmpty(state: unknown): boolean {
  return state === undefined || state === null || (typeof state === "object" && Object.keys(state).length === 0);
}

function withShared(
  { stream_state: state, ...rest }: v.InferOutput<typeof streamState>,
  shared: object | null | undefined,
): v.InferOutput<typeof streamState> {
  const hasShared = typeof state === "object" && state !== null && "stream" in state && state.stream === SHARED;
  return { ...rest, stream_state: hasShared ? { ...state, ...shared } : state };
}

/** The bodies of state messages: of a list, of one, with or without the message around them; without empty ones. */
function bodiesOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  return all.flatMap((one) => {
    if (one === "" || isEmpty(one)) return [];
    if (!isJsonObject(one)) throw foreign("it is no object");
    const { type, state } = one;
    return type === "STATE" || isJsonObject(state) ? bodiesOf(state ?? null) : [one];
  });
}

export function keyOf({ name, namespace = "" }: StreamDescriptor): string {
  return JSON.stringify([namespace, name]);
}

/** `records` is how many the stream has sent since its last state. */
export function streamMessage({ stream, state }: StateOf, records: number): string {
  const body = { type: "STREAM", stream: { stream_descriptor: stream, stream_state: state } };
  return stateMessage(body, records);
}

/** One state for all streams. `shared` is the position of those that are where the change stream is. */
export function globalMessage(all: readonly StateOf[], shared: StreamPosition | undefined, records: number): string {
  const states = all.map(({ stream, state }) => {
    const own = state as Partial<StreamState>;
    const isShared = own.stream !== undefined && own.stream.token === shared?.token;
    return { stream_descriptor: stream, stream_state: isShared ? { ...own, stream: SHARED } : own };
  });
  const sharedState = shared === undefined ? {} : { stream: shared };
  return stateMessage({ type: "GLOBAL", global: { shared_state: sharedState, stream_states: states } }, records);
}

/** The protocol wants the count with a decimal point, so that no reader takes it for an int32. */
function stateMessage(body: Message, records: number): string {
  const text = JSON.stringify({ type: "STATE", state: body });
  return `${text.slice(0, -2)},"sourceStats":{"recordCount":${records}.0}}}`;
}
