/**
 * The messages of Airbyte's protocol beside the records (protocol/airbyte.ts).
 * https://github.com/airbytehq/airbyte-protocol/blob/main/protocol-models/src/main/resources/airbyte_protocol/v0/airbyte_protocol.yaml
 */

import type { Kind, MongotapError } from "../../errors.ts";
import type { Level } from "../../observe/log.ts";
import type { StreamDescriptor } from "../../protocol/airbyte.ts";

export type Message = Readonly<Record<string, unknown>>;

export function logMessage(level: Level, message: string): Message {
  return { type: "LOG", log: { level: level.toUpperCase(), message } };
}

export function statusTrace(
  stream: StreamDescriptor,
  status: "STARTED" | "RUNNING" | "COMPLETE" | "INCOMPLETE",
): Message {
  return trace({ type: "STREAM_STATUS", stream_status: { stream_descriptor: stream, status } });
}

/** About what a stream is going to send. */
export function estimateTrace(
  { name, namespace }: StreamDescriptor,
  { documents, bytes }: { readonly documents: number | null; readonly bytes: number | null },
): Message {
  const estimate = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    type: "STREAM",
    ...(documents === null ? {} : { row_estimate: documents }),
    ...(bytes === null ? {} : { byte_estimate: bytes }),
  };
  return trace({ type: "ESTIMATE", estimate });
}

/** `message` says what has happened and what to do. */
export function errorTrace({ kind, exitCode }: MongotapError, message: string): Message {
  return trace({
    type: "ERROR",
    error: {
      message,
      internal_message: `${kind}, exit code ${exitCode}`,
      failure_type: FAILURES[kind] ?? "system_error",
    },
  });
}

/** `config_error`: the user must do something. `transient_error`: a later attempt may succeed. */
const FAILURES: Readonly<Partial<Record<Kind, "config_error" | "transient_error">>> = {
  usage: "config_error",
  config: "config_error",
  state: "config_error",
  auth: "config_error",
  unsupported: "config_error",
  data: "config_error",
  "history-lost": "config_error",
  connect: "transient_error",
  limit: "transient_error",
  // The next attempt reads what is there now.
  ended: "transient_error",
};

function trace(content: Message): Message {
  return { type: "TRACE", trace: { ...content, emitted_at: Date.now() } };
}
