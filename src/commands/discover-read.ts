/** What discover looks at, and what it finds there. */

import type { Connection } from "../connect/client.ts";
import { serverCodeOf } from "../connect/server-errors.ts";
import { type CatalogEntry, type SampledStructure, streamObstacle } from "../discover/catalog.ts";
import type { KnownCatalog } from "../discover/as-json.ts";
import { StructureBuilder } from "../discover/structure.ts";
import { MongotapError } from "../errors.ts";
import { bindingText, isBound, parseBinding } from "../source/bindings.ts";
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
import { selectBindings } from "../run/selection.ts";
import type { Invocation } from "../run/invocation.ts";

/** Unless `--sample` says otherwise. */
const USUAL_SAMPLE = 1_000;
/** Of one collection: enough for a thousand documents that are large, little enough for memory and network. */
const MOST_SAMPLE_BYTES = 64 * 1024 * 1024;
/** Enough to hide the way to the server, few enough to be no burden to it. */
const AT_ONCE = 4;

export interface Scope {
  /** As asked for; empty: everything. */
  readonly namespaces: readonly string[];
  readonly exclude: readonly string[];
  readonly bindings: readonly Binding[];
  has(namespace: Namespace): boolean;
}

/** What the command line names; where it names nothing, what the earlier look was at. */
export function scopeOf(invocation: Invocation, earlier: KnownCatalog | undefined): Scope {
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
    bindings.length === 0 ? !isBound(excluded, namespace) : isBound(bindings, namespace);
  return { namespaces, exclude, bindings, has };
}

/** The collections of the scope, by name, each with as much as can be told. */
export async function readEntries(
  connection: Connection,
  scope: Scope,
  invocation: Invocation,
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
  return inOrder(found, (info) => readEntry(connection, info, scope, invocation));
}

async function readEntry(
  { client, server }: Connection,
  info: CollectionInfo,
  scope: Scope,
  invocation: Invocation,
): Promise<CatalogEntry> {
  invocation.context.signal.throwIfAborted();
  const measured = await measure(client, info);
  const facts = { info, ...measured, options: optionsJson(info), noStream: streamObstacle(info, server.topology) };
  const isNamed = scope.bindings.some(({ db, collection }) => nameOf(info.namespace) === `${db}.${collection ?? ""}`);
  try {
    const sampled = await sampleOf(client, { info, measured, isNamed }, invocation);
    return { ...facts, sampled, failure: null };
  } catch (error) {
    // One that cannot be read must not hide the others, unless it is what was asked for.
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
  { settings, context }: Invocation,
): Promise<SampledStructure | undefined> {
  const { sample, sampleTime, as, diff, examples } = settings;
  // A list is expected at once.
  const isList = as === "table" && diff === undefined && !isNamed;
  const documents = sample ?? (isList ? 0 : USUAL_SAMPLE);
  if (documents === 0) return undefined;
  const limits: SampleLimits = { documents, bytes: MOST_SAMPLE_BYTES, timeMs: sampleTime };
  const builder = new StructureBuilder(examples);
  const onDocument = (bytes: Uint8Array): void => builder.add(bytes);
  const found = await readSample(client, { info, measured, limits, onDocument }, context.signal);
  return { ...found, structure: builder.finish() };
}

/** The results in the order of the items, whichever comes first. */
async function inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await work(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
