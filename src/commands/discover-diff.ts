/** `mongotap discover --diff FILE`: what has changed since. */

import { readFile } from "node:fs/promises";

import type { Settings } from "../config/options.ts";
import { diffJson, diffTable } from "../discover/as-diff.ts";
import { asJson } from "../discover/as-json.ts";
import type { Catalog } from "../discover/collection.ts";
import { changesBetween } from "../discover/diff.ts";
import { type KnownCatalog, parseCatalog } from "../discover/earlier.ts";
import { MongotapError } from "../errors.ts";
import { countOf } from "../observe/stats.ts";
import { type Scope, scopeFor } from "./discover-read.ts";
import { print } from "./print.ts";

/** @throws MongotapError `usage` where changes cannot be printed as `as`; `config` for a file that discover has not made */
export async function readEarlier(path: string, as: Settings["as"]): Promise<KnownCatalog> {
  if (as !== "table" && as !== "json") {
    throw new MongotapError("usage", `--diff prints changes, which cannot be printed as ${as}`, {
      hint: "It goes with --as table and --as json.",
    });
  }
  return parseCatalog(await readText(path), `--diff ${path}`);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new MongotapError("config", `--diff ${path} cannot be read (${reason})`, {
      hint: "`mongotap discover --as json > FILE` makes such a file.",
      cause: error,
    });
  }
}

/** Prints what has changed, and resolves to 0 if nothing has. @throws MongotapError `threshold` otherwise */
export async function compareCatalogs(
  earlier: KnownCatalog,
  catalog: Catalog,
  scope: Scope,
  settings: Settings,
): Promise<number> {
  // As it would be read back: one way to look at both.
  const later = parseCatalog(asJson(catalog), "what is there now");
  const then = scopeFor(earlier.namespaces, earlier.exclude);
  const isShared = (entry: KnownCatalog["collections"][number]): boolean => scope.has(entry) && then.has(entry);
  const changes = changesBetween(
    { ...earlier, collections: earlier.collections.filter(isShared) },
    { ...later, collections: later.collections.filter(isShared) },
  );
  const comparison = { changes, since: earlier.at, collections: later.collections.filter(isShared).length };
  await print(settings.as === "json" ? diffJson(comparison) : diffTable(comparison));
  if (changes.length === 0) return 0;
  throw new MongotapError("threshold", `${countOf(changes.length, "change")} since ${settings.diff ?? ""} was made`);
}
