/**
 * The configured catalog: the streams that the platform reads, and how. Read leniently, because platforms add keys.
 * https://docs.airbyte.com/understanding-airbyte/airbyte-protocol#configuredairbytecatalog
 */

import * as v from "valibot";

import { NAMESPACE_KEY } from "../../discover/streams.ts";
import { MongotapError } from "../../errors.ts";
import { mismatchText } from "../../lib/mismatch.ts";
import type { StreamDescriptor } from "../../protocol/airbyte.ts";
import { nameToNamespace } from "../../source/bindings.ts";
import { nameOf, type Namespace } from "../../source/record.ts";
import type { Wanted } from "../wanted-streams.ts";

export interface ConfiguredStream extends Wanted {
  readonly descriptor: StreamDescriptor;
  /** The platform's number of the copy, and of the run: attempts of one run have the same. */
  readonly generation: number | undefined;
  readonly sync: number | undefined;
}

const optional = <T extends v.GenericSchema>(schema: T): v.OptionalSchema<v.NullableSchema<T, undefined>, undefined> =>
  v.optional(v.nullable(schema));

const schema = v.object({
  streams: v.array(
    v.object({
      stream: v.object({
        name: v.string(),
        namespace: optional(v.string()),
        json_schema: optional(v.record(v.string(), v.unknown())),
      }),
      sync_mode: v.picklist(["incremental", "full_refresh"]),
      generation_id: optional(v.number()),
      sync_id: optional(v.number()),
    }),
  ),
});

const CONFIGURED =
  'Wrap each stream of the catalog that you want: {"streams": [{"stream": {…}, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}]}; sync_mode may also be "full_refresh".';

const discovered = v.union([
  v.object({ type: v.literal("CATALOG") }),
  v.object({ catalog: v.object({ streams: v.array(v.unknown()) }) }),
  v.object({ streams: v.tupleWithRest([v.object({ name: v.string(), json_schema: v.unknown() })], v.unknown()) }),
]);

/** Whether it is the message of discover, or the catalog in it. */
function isDiscovered(value: unknown): boolean {
  return v.is(discovered, value);
}

/** @throws MongotapError `config`; `what` names the file in messages */
export function parseConfiguredCatalog(value: unknown, what: string): readonly ConfiguredStream[] {
  if (isDiscovered(value)) {
    throw new MongotapError("config", `${what} is a catalog as discover prints it: no stream is configured`, {
      hint: CONFIGURED,
    });
  }
  const result = v.safeParse(schema, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw new MongotapError("config", `${what} ${mismatchText({ ...issue, path: v.getDotPath(issue) })}`, {
      hint: CONFIGURED,
    });
  }
  const streams = result.output.streams.map(({ stream, sync_mode, generation_id, sync_id }): ConfiguredStream => {
    const { name, namespace, json_schema } = stream;
    const named = json_schema?.[NAMESPACE_KEY];
    return {
      descriptor: { name, ...(namespace === undefined || namespace === null ? {} : { namespace }) },
      namespace: namespaceOf(typeof named === "string" ? named : name, what),
      wantsChanges: sync_mode === "incremental",
      generation: generation_id ?? undefined,
      sync: sync_id ?? undefined,
    };
  });
  const names = new Set<string>();
  for (const { namespace } of streams) {
    const name = nameOf(namespace);
    if (names.has(name)) throw new MongotapError("config", `${what} has two streams of the collection ${name}`);
    names.add(name);
  }
  return streams;
}

function namespaceOf(name: string, what: string): Namespace {
  const dot = name.indexOf(".");
  if (dot > 0 && dot < name.length - 1) return nameToNamespace(name);
  throw new MongotapError("config", `${what}: the stream ${JSON.stringify(name)} is no collection`, {
    hint: "Discover the streams again: their names are db.collection.",
  });
}
