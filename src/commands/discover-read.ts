/** Reads the collections that discover prints. */

import type { Settings } from "../config/options.ts";
import type { Connection } from "../connect/client.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import { serverCodeOf } from "../connect/server-errors.ts";
import { type Catalog, type CatalogEntry, type SampledStructure, streamObstacle } from "../discover/catalog.ts";
import type { KnownCatalog } from "../discover/as-json.ts";
import { StructureBuilder } from "../discover/structure.ts";
import { MongotapError } from "../errors.ts";
import { type ConnectionSettings, openConnection } from "../run/connection.ts";
import type { Invocation } from "../run/invocation.ts";
import { selectBindings, type SelectionSettings } from "../run/selection.ts";
import { bindingText, isBound, isServerName, parseBinding } from "../source/bindings.ts";
import {
  type CollectionInfo,
  listCollections,
  listDatabases,
  measure,
  type Measured,
  optionsJson,
} from "../source/catalog.ts";
import { type Binding, type Namespace, nameOf } from "../source/record.ts";
import { readSample, type SampleLimits } from "../source/sample.ts";

export type DiscoverSettings = ConnectionSettings &
  SelectionSettings &
  Pick<Settings, "sample" | "sampleTime" | "examples" | "format" | "as" | "diff">;

/** The default of --sample, in documents. */
const DEFAULT_SAMPLE = 1_000;
/** Of one collection: enough for 1,000 large documents. */
const MAX_SAMPLE_BYTES = 64 * 1024 * 1024;
/** Collections that are read at once: enough to hide the round trip, few enough to spare the server. */
const CONCURRENCY = 4;

export interface Scope {
  /** As the user named them; none for all databases. */
  readonly namespaces: readonly string[];
  readonly exclude: readonly string[];
  readonly bindings: readonly Binding[];
  has(namespace: Namespace): boolean;
}

/** The scope of the command line; if it names none, the scope of the earlier catalog. */
export function scopeOf(invocation: Invocation<SelectionSettings>, earlier: KnownCatalog | undefined): Scope {
  const { namespaces, settings } = invocation;
  if (earlier === undefined || namespaces.length > 0 || settings.exclude.length > 0) {
    return scopeFor(namespaces, settings.exclude);
  }
  return scopeFor(earlier.namespaces, earlier.exclude);
}

export function scopeFor(namespaces: readonly string[], exclude: readonly string[]): Scope {
  const bindings = selectBindings({ namespaces, settings: { exclude } });
  const excluded = exclude.map(parseBinding);
  const has = (namespace: Namespace): boolean =>
    bindings.length === 0
      ? !isServerName(namespace.collection) && !isBound(excluded, namespace)
      : isBound(bindings, namespace);
  return { namespaces, exclude, bindings, has };
}

/** The catalog of the scope, read from the server at `uri`. `check` throws if the server is of no use to the caller. */
export async function catalogOf(
  invocation: Invocation<DiscoverSettings>,
  scope: Scope,
  uri: ConnectionString,
  check: (server: Connection["server"]) => void = () => undefined,
): Promise<Catalog> {
  const { context, log } = invocation;
  await using connection = await openConnection(invocation, uri);
  check(connection.server);
  const entries = await readEntries(connection, scope, invocation);
  if (entries.length === 0) log.warn("nothing found");
  const { namespaces, exclude } = scope;
  return { version: context.version, namespaces, exclude, at: new Date().toISOString(), entries };
}

/** Resolves to the collections of the scope, by name. A collection that cannot be read has no fields. */
async function readEntries(
  connection: Connection,
  scope: Scope,
  invocation: Invocation<DiscoverSettings>,
): Promise<CatalogEntry[]> {
  const { bindings } = scope;
  const { client } = connection;
  const databases = bindings.length === 0 ? await listDatabases(client) : [...new Set(bindings.map(({ db }) => db))];
  const found: CollectionInfo[] = [];
  for (const db of databases.toSorted()) {
    found.push(...(await listCollections(client, db)).filter(({ namespace }) => scope.has(namespace)));
  }
  for (const binding of found.length === 0 ? [] : bindings) {
    const isThere = found.some(({ namespace }) => isBound([binding], namespace));
    if (!isThere) invocation.log.warn(`${bindingText(binding)}: nothing found`);
  }
  return mapConcurrently(found, CONCURRENCY, (info) => readEntry(connection, info, scope, invocation));
}

async function readEntry(
  { client, server }: Connection,
  info: CollectionInfo,
  scope: Scope,
  invocation: Invocation<DiscoverSettings>,
): Promise<CatalogEntry> {
  invocation.context.signal.throwIfAborted();
  const measured = await measure(client, info);
  const facts = { info, ...measured, options: optionsJson(info), noStream: streamObstacle(info, server.topology) };
  const isNamed = scope.bindings.some(({ db, collection }) => nameOf(info.namespace) === `${db}.${collection ?? ""}`);
  try {
    const sampled = await sampleOf(client, { info, measured, isNamed }, invocation);
    return { ...facts, sampled, failure: null };
  } catch (error) {
    // A collection that cannot be read must not hide the others, unless the user named it.
    if (isNamed || !(error instanceof MongotapError) || serverCodeOf(error) === undefined) throw error;
    invocation.log.warn(`${error.message}: its fields are not known`);
    return { ...facts, sampled: undefined, failure: error.message };
  }
}

interface Subject {
  readonly info: CollectionInfo;
  readonly measured: Measured;
  readonly isNamed: boolean;
}

async function sampleOf(
  client: Connection["client"],
  { info, measured, isNamed }: Subject,
  { settings, context }: Invocation<DiscoverSettings>,
): Promise<SampledStructure | undefined> {
  const { sample, sampleTime, as, diff, examples } = settings;
  // A list of collections must not take long.
  const isList = as === "table" && diff === undefined && !isNamed;
  const documents = sample ?? (isList ? 0 : DEFAULT_SAMPLE);
  if (documents === 0) return undefined;
  const limits: SampleLimits = { documents, bytes: MAX_SAMPLE_BYTES, timeMs: sampleTime };
  const builder = new StructureBuilder(examples);
  const onDocument = (bytes: Uint8Array): void => builder.add(bytes);
  const found = await readSample(client, { info, measured, limits, onDocument }, context.signal);
  return { ...found, structure: builder.finish() };
}

/** Works on up to `concurrency` items at once. Resolves to the results in the order of the items. */
async function mapConcurrently<T, R>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await work(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return results;
}
