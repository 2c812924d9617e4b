/** The catalog: what discover knows of each collection, from the server and from a sample of its documents. */

import { countOf } from "../observe/stats.ts";
import type { CollectionInfo, Measured } from "../source/catalog.ts";
import type { Sample } from "../source/sample.ts";
import type { Structure } from "./structure.ts";

/** How a sample was read, and the fields of its documents. */
export interface SampledStructure extends Sample {
  readonly structure: Structure;
}

export interface CatalogEntry extends Measured {
  readonly info: CollectionInfo;
  /** The options of the collection as JSON; see source/options-json.ts. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Why the collection has no change stream; null if it has one. */
  readonly noStream: string | null;
  /** Undefined if no documents were requested, or none could be read. */
  readonly sampled: SampledStructure | undefined;
  /** Why the documents could not be read; null otherwise. */
  readonly failure: string | null;
}

/** The input of every `--as` format. */
export interface Catalog {
  /** The version of mongotap. */
  readonly version: string;
  /** The requested namespaces; empty: all. */
  readonly namespaces: readonly string[];
  readonly exclude: readonly string[];
  /** The time at which it was made, as an ISO date. */
  readonly at: string;
  readonly entries: readonly CatalogEntry[];
}

/**
 * Why a collection has no change stream; null if it has one.
 * https://www.mongodb.com/docs/manual/changeStreams/#availability
 */
export function streamObstacle(
  { type }: Pick<CollectionInfo, "type">,
  topology: "replicaSet" | "sharded" | "standalone",
): string | null {
  if (type === "view") return "a view has no changes of its own";
  if (type === "timeseries") return "time series have no change streams";
  if (topology === "standalone") return "change streams need a replica set or a sharded cluster";
  return null;
}

/** Whether the requested namespaces are exactly one collection: neither a database nor a pattern. */
export function namesOneCollection({ namespaces }: Catalog): boolean {
  const [only, ...more] = namespaces;
  return only !== undefined && more.length === 0 && only.includes(".") && !only.endsWith(".*");
}

/** The sample in words: `1,000 of 12,345 documents, at random`. */
export function sampleText({ documents: count, sampled, failure }: CatalogEntry): string {
  if (failure !== null) return `not read: ${failure}`;
  if (sampled === undefined) return "not read";
  const { documents, how, cut, structure } = sampled;
  if (documents === 0) return cut === "time" ? "no document came in time" : "no documents";
  const all = count === null || how === "all" ? documents : count;
  const parts = [
    `${how === "all" ? "all " : ""}${all === documents ? "" : `${documents.toLocaleString("en-US")} of `}${countOf(all, "document")}`,
    how === "random" ? "at random" : how === "first" ? "the first ones" : "",
    cut === "time" ? "until the time was over" : cut === "bytes" ? "until they were too large" : "",
    structure.corrupt > 0 ? `${structure.corrupt.toLocaleString("en-US")} of them corrupt` : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}
