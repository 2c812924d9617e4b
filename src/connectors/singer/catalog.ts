/**
 * The catalog of a Singer tap as it comes back: which streams and which of their fields are selected.
 * https://github.com/singer-io/getting-started/blob/master/docs/DISCOVERY_MODE.md
 */

import * as v from "valibot";

import type { ExcludedFields } from "../../codec/projection.ts";
import { NAMESPACE_KEY } from "../../discover/streams.ts";
import { MongotapError } from "../../errors.ts";
import { isJsonObject } from "../../lib/json-object.ts";
import { mismatchText } from "../../lib/mismatch.ts";
import { nameToNamespace } from "../../source/bindings.ts";
import { nameOf } from "../../source/record.ts";
import type { Wanted } from "../wanted-streams.ts";

type Schema = Readonly<Record<string, unknown>>;

export interface TapStream extends Wanted {
  readonly id: string;
  readonly stream: string;
  /** Without the fields that are not selected. */
  readonly schema: Schema;
  readonly excluded: ExcludedFields;
  /**
   * Where fields are left out, the names of the others: a field that the catalog does not have, because no sampled document had
   * it, may be one that the user does not want. Absent: every field is selected.
   */
  readonly only?: readonly string[];
  readonly keys: readonly string[];
}

const optional = <T extends v.GenericSchema>(schema: T): v.OptionalSchema<v.NullableSchema<T, undefined>, undefined> =>
  v.optional(v.nullable(schema));

const anyObject = v.record(v.string(), v.unknown());

const catalogSchema = v.object({
  streams: v.array(
    v.object({
      tap_stream_id: v.string(),
      stream: optional(v.string()),
      schema: optional(anyObject),
      table_name: optional(v.string()),
      key_properties: optional(v.array(v.string())),
      selected: optional(v.boolean()),
      replication_method: optional(v.string()),
      metadata: optional(v.array(v.object({ breadcrumb: v.array(v.string()), metadata: anyObject }))),
    }),
  ),
});

type CatalogStream = v.InferOutput<typeof catalogSchema>["streams"][number];
type Metadata = Readonly<Record<string, unknown>>;

/** Of the stream itself or of a field, and of the fields inside, by their names. */
interface MetadataTree {
  own: Metadata;
  readonly fields: Map<string, MetadataTree>;
}

/**
 * Returns the selected streams; `what` names the file in messages.
 * @throws MongotapError `config`, also for two streams of one name, id or collection: nothing would distinguish their records
 */
export function parseCatalog(value: unknown, what: string): readonly TapStream[] {
  const result = v.safeParse(catalogSchema, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw new MongotapError("config", `${what} ${mismatchText({ ...issue, path: v.getDotPath(issue) })}`, {
      hint: "A catalog is what `mongotap singer --discover` prints.",
    });
  }
  const all = result.output.streams.map((stream) => ({ stream, metadata: metadataOf(stream) }));
  const streams = all.filter(isSelected).map(({ stream, metadata }) => streamOf(stream, metadata, what));
  refuseTwice(streams, ({ id }) => id, `${what} has two streams with the id`);
  refuseTwice(streams, ({ stream }) => stream, `${what} has two streams with the name`);
  refuseTwice(streams, ({ namespace }) => nameOf(namespace), `${what} has two streams of the collection`);
  return streams;
}

function refuseTwice(streams: readonly TapStream[], keyOf: (stream: TapStream) => string, problem: string): void {
  const known = new Set<string>();
  for (const key of streams.map(keyOf)) {
    if (known.has(key)) throw new MongotapError("config", `${problem} ${key}`, { hint: "Select one of them." });
    known.add(key);
  }
}

function metadataOf({ metadata }: CatalogStream): MetadataTree {
  const root: MetadataTree = { own: {}, fields: new Map() };
  for (const { breadcrumb, metadata: own } of metadata ?? []) {
    const path = pathOf(breadcrumb);
    if (path === undefined) continue;
    let node = root;
    for (const name of path) {
      const inner = node.fields.get(name) ?? { own: {}, fields: new Map<string, MetadataTree>() };
      node.fields.set(name, inner);
      node = inner;
    }
    const isDeselected = node.own["selected"] === false; // by an entry for the same field in arrays, or outside of them
    node.own = { ...node.own, ...own, ...(isDeselected ? { selected: false } : {}) };
  }
  return root;
}

/**
 * `["properties", "a", "properties", "b"]` → `["a", "b"]`, and so is `["properties", "a", "items", "properties", "b"]`: a field
 * is left out in documents, and in arrays of documents. Undefined for what names no field.
 */
function pathOf(breadcrumb: readonly string[]): readonly string[] | undefined {
  const path: string[] = [];
  for (let i = 0; i < breadcrumb.length; i += 1) {
    if (breadcrumb[i] === "items" && path.length > 0) continue;
    const name = breadcrumb[i + 1];
    if (breadcrumb[i] !== "properties" || name === undefined) return undefined;
    path.push(name);
    i += 1;
  }
  return path;
}

function isSelected({
  stream,
  metadata,
}: {
  readonly stream: CatalogStream;
  readonly metadata: MetadataTree;
}): boolean {
  const { own } = metadata;
  const selected = own["selected"] ?? stream.selected ?? stream.schema?.["selected"] ?? own["selected-by-default"];
  return selected === true;
}

function streamOf(stream: CatalogStream, metadata: MetadataTree, what: string): TapStream {
  const id = stream.tap_stream_id;
  const { own } = metadata;
  const method = own["replication-method"] ?? own["forced-replication-method"] ?? stream.replication_method;
  if (method !== undefined && method !== null && method !== "LOG_BASED" && method !== "FULL_TABLE") {
    throw new MongotapError(
      "config",
      `${what}: the stream ${id} has the replication method ${JSON.stringify(method)}`,
      {
        hint: "Choose LOG_BASED (changes) or FULL_TABLE.",
      },
    );
  }
  const keys = stream.key_properties ?? (own["table-key-properties"] as readonly string[] | undefined) ?? [];
  const { schema, excluded } = selectedOf(stream.schema ?? {}, metadata, ["_id", ...keys]);
  return {
    id,
    stream: stream.stream ?? id,
    namespace: nameToNamespace(namespaceText(stream, own, what)),
    wantsChanges: method !== "FULL_TABLE",
    schema,
    excluded,
    ...([...excluded.values()].includes("whole") && isJsonObject(schema["properties"])
      ? { only: [...new Set([...keys, ...Object.keys(schema["properties"])])] }
      : {}),
    keys,
  };
}

function namespaceText(stream: CatalogStream, own: Readonly<Record<string, unknown>>, what: string): string {
  const named = stream.schema?.[NAMESPACE_KEY];
  if (typeof named === "string") return named;
  const db = own["database-name"];
  const collection = stream.table_name;
  if (typeof db === "string" && typeof collection === "string") return nameOf({ db, collection });
  throw new MongotapError("config", `${what} does not say which collection the stream ${stream.tap_stream_id} is of`, {
    hint: "Discover the streams again: they have a database-name and a table_name.",
  });
}

interface Selection {
  readonly schema: Schema;
  readonly excluded: ExcludedFields;
}

/**
 * The schema without what is not selected, and what that is. A field without metadata is selected; in the older form of the
 * catalog the schema itself says so. A field that only the metadata have counts too: the sample may lack what some documents
 * have. `automatic`: the fields that are always selected, with everything in them. Of others the word "automatic" says nothing:
 * Meltano writes it for fields that its user declares.
 */
function selectedOf(schema: Schema, metadata: MetadataTree, automatic: readonly string[]): Selection {
  const inItems = isJsonObject(schema["items"]) ? selectedOf(schema["items"], metadata, []) : undefined;
  const properties = isJsonObject(schema["properties"]) ? schema["properties"] : undefined;
  const excluded = new Map(inItems?.excluded);
  const kept: (readonly [string, unknown])[] = [];
  for (const name of new Set([...Object.keys(properties ?? {}), ...metadata.fields.keys()])) {
    const property = properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
    const keep = (value: unknown): unknown => property !== undefined && kept.push([name, value]);
    const field = metadata.fields.get(name) ?? { own: {}, fields: new Map<string, MetadataTree>() };
    const own = isJsonObject(property) ? property : {};
    const { selected, inclusion } = { ...own, ...field.own };
    if (automatic.includes(name)) {
      keep(property);
    } else if (selected === false || inclusion === "unsupported") {
      excluded.set(name, "whole");
    } else {
      const inside = selectedOf(own, field, []);
      keep(inside.schema);
      if (inside.excluded.size > 0) excluded.set(name, inside.excluded);
    }
  }
  return {
    schema: {
      ...schema,
      ...(properties === undefined ? {} : { properties: Object.fromEntries(kept) }),
      ...(inItems === undefined ? {} : { items: inItems.schema }),
    },
    excluded,
  };
}
