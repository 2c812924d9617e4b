/**
 * The configured catalog: the streams that the platform reads, and how. Read leniently, because platforms add keys.
 * https://docs.airbyte.com/understanding-airbyte/airbyte-protocol#configuredairbytecatalog
 */

import * as v from "valibot";

import { NAMESPACE_KEY } from "../../discover/streams.ts";
import { MongotapError } from "../../errors.ts";
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
      sync_mode: optional(v.string()),
      generation_id: optional(v.number()),
      sync_id: optional(v.number()),
    }),
  ),
});

/** @throws MongotapError `config`; `what` names the file in messages */
export function parseConfiguredCatalog(value: unknown, what: string): readonly ConfiguredStream[] {
  const result = v.safeParse(schema, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw new MongotapError("config", `${what}: ${v.getDotPath(issue) ?? "it"}: ${issue.message}`, {
      hint: "It takes a configured catalog: the streams of `mongotap airbyte discover`, each with its sync_mode.",
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
