/** One collection of the catalog: what the server says of it, and what the sample tells. */

import { countOf } from "../observe/stats.ts";
import type { CollectionInfo, Measured } from "../source/catalog.ts";
import type { Sample } from "../source/sample.ts";
import type { Structure } from "./fold.ts";

/** What was read of a collection in order to know its fields. */
export interface SampledStructure extends Sample {
  readonly structure: Structure;
}

export interface CatalogEntry extends Measured {
  readonly info: CollectionInfo;
  /** As JSON; see source/options-json.ts. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Why there is no change stream of it; null where there is one. */
  readonly noStream: string | null;
  /** Undefined where no documents were asked for, and where they could not be read. */
  readonly sampled: SampledStructure | undefined;
  /** Why no document could be read; null where that went well. */
  readonly failure: string | null;
}

/** What all output of discover is made from. */
export interface Catalog {
  /** The version of mongotap. */
  readonly version: string;
  /** What was asked for; empty: everything. */
  readonly namespaces: readonly string[];
  readonly exclude: readonly string[];
  /** When it was made, as an ISO date. */
  readonly at: string;
  readonly entries: readonly CatalogEntry[];
}

/** Why the changes of a collection cannot be streamed. */
export function streamObstacle(
  { type }: Pick<CollectionInfo, "type">,
  topology: "replicaSet" | "sharded" | "standalone",
): string | null {
  if (type === "view") return "a view has no changes of its own";
  if (type === "timeseries") return "time series have no change streams";
  if (topology === "standalone") return "change streams need a replica set or a sharded cluster";
  return null;
}

/** Of the namespaces asked for, whether exactly one collection was named. */
export function namesOneCollection({ namespaces }: Catalog): boolean {
  const [only, ...more] = namespaces;
  return only !== undefined && more.length === 0 && only.includes(".") && !only.endsWith(".*");
}

/** What was read, in words: `1,000 of 12,345 documents, at random`. */
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
