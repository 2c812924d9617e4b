/**
 * The states that Airbyte keeps for its streams: one for each (STREAM), or one for all (GLOBAL). What comes back is read
 * leniently: with nulls, with states of streams that are not read, and of either type.
 */

import * as v from "valibot";

import type { StreamDescriptor } from "../../protocol/airbyte.ts";
import { parseStreamState, type StreamState } from "../../state/stream-state.ts";
import type { Message } from "./messages.ts";

const descriptor = v.object({ name: v.string(), namespace: v.optional(v.nullable(v.string())) });
const streamState = v.object({ stream_descriptor: descriptor, stream_state: v.optional(v.unknown()) });
const globalState = v.object({
  shared_state: v.optional(v.nullable(v.record(v.string(), v.unknown()))),
  stream_states: v.array(streamState),
});

/** Returns the states by `keyOf` of their streams. @throws MongotapError `state` for one that mongotap has not made */
export function parseStates(value: unknown): ReadonlyMap<string, StreamState> {
  const states = new Map<string, StreamState>();
  const add = (
    { stream_descriptor: { name, namespace }, stream_state: found }: v.InferOutput<typeof streamState>,
    shared?: object | null,
  ): void => {
    const isEmpty =
      found === undefined || found === null || (typeof found === "object" && Object.keys(found).length === 0);
    if (isEmpty) return; // the stream was reset
    const key = keyOf({ name, ...(namespace === undefined || namespace === null ? {} : { namespace }) });
    states.set(key, parseStreamState({ ...found, ...shared }, name));
  };
  for (const message of messagesOf(value)) {
    const stream = v.safeParse(streamState, message["stream"]);
    if (stream.success) add(stream.output);
    const all = v.safeParse(globalState, message["global"] ?? message["global_"]);
    if (!all.success) continue;
    for (const one of all.output.stream_states) add(one, all.output.shared_state);
  }
  return states;
}

/** The bodies of state messages: of a list, of one, with or without the message around them. */
function messagesOf(value: unknown): readonly Record<string, unknown>[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  return all.flatMap((one) => {
    if (typeof one !== "object" || one === null) return [];
    const body = one as Record<string, unknown>;
    const { state } = body;
    return [typeof state === "object" && state !== null ? { ...state } : body];
  });
}

export function keyOf({ name, namespace = "" }: StreamDescriptor): string {
  return JSON.stringify([namespace, name]);
}

export interface StateOf {
  readonly stream: StreamDescriptor;
  readonly state: StreamState;
}

/** The state of one stream; `records` is how many it has sent since its last state. */
export function streamMessage({ stream, state }: StateOf, records: number): string {
  const body = { type: "STREAM", stream: { stream_descriptor: stream, stream_state: state } };
  return stateMessage(body, records);
}

/** One state for all streams. The position of the change stream is theirs together. */
export function globalMessage(all: readonly StateOf[], shared: object, records: number): string {
  const states = all.map(({ stream, state: { stream: _, ...state } }) => ({
    stream_descriptor: stream,
    stream_state: state,
  }));
  return stateMessage({ type: "GLOBAL", global: { shared_state: shared, stream_states: states } }, records);
}

/** The protocol wants the count with a decimal point, so that no reader takes it for an int32. */
function stateMessage(body: Message, records: number): string {
  const text = JSON.stringify({ type: "STATE", state: body });
  return `${text.slice(0, -2)},"sourceStats":{"recordCount":${records}.0}}}`;
}
