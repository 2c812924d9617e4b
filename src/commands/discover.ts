/** `mongotap discover`: prints databases, collections and the fields of their documents, in one of several forms. */

import { readFile } from "node:fs/promises";

import type { Settings } from "../config/options.ts";
import { connectionStringOf } from "../config/server.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import { asJson, type KnownCatalog, parseCatalog } from "../discover/as-json.ts";
import { asTable } from "../discover/as-table.ts";
import type { Catalog } from "../discover/catalog.ts";
import { changesBetween, diffJson, diffTable } from "../discover/diff.ts";
import { MongotapError } from "../errors.ts";
import { countOf } from "../observe/stats.ts";
import type { Invocation } from "../run/invocation.ts";
import { exitWith } from "../run/outcome.ts";
import type { Command } from "./command.ts";
import { catalogOf, type DiscoverSettings, type Scope, scopeFor, scopeOf } from "./discover-read.ts";
import { print } from "./print.ts";

export const discover: Command<DiscoverSettings> = async (invocation) => {
  const { settings, log } = invocation;
  const earlier = settings.diff === undefined ? undefined : await readEarlier(settings.diff, settings.as);
  const scope = scopeOf(invocation, earlier);
  const uri = await connectionStringOf(settings);
  log.hide(uri.secrets);
  const catalog = await catalogOf(invocation, scope, uri);
  if (earlier !== undefined) return exitWith(log, await compareCatalogs(earlier, catalog, scope, settings));
  await print(await textOf(catalog, invocation, uri));
  return 0;
};

/** Loads the code of a form when the form is asked for. */
async function textOf(
  catalog: Catalog,
  { settings, log }: Invocation<DiscoverSettings>,
  uri: ConnectionString,
): Promise<string> {
  switch (settings.as) {
    case "table":
      return asTable(catalog);
    case "json":
      return asJson(catalog);
    case "jsonschema":
      return (await import("../discover/as-jsonschema.ts")).asJsonSchema(catalog, settings.format);
    case "flow": {
      const { asFlow, flowServerOf } = await import("../discover/as-flow.ts");
      for (const { info, noStream } of catalog.entries) {
        if (noStream !== null) log.warn(`${info.namespace.db}.${info.namespace.collection} is left out: ${noStream}`);
      }
      return asFlow(catalog, { ...flowServerOf(uri), sshEndpoint: sshEndpointOf(settings) });
    }
    case "airbyte":
      return (await import("../discover/as-airbyte.ts")).asAirbyte(catalog);
    case "singer":
      return (await import("../discover/as-singer.ts")).asSinger(catalog);
    case "html":
      return (await import("../discover/as-html.ts")).asHtml(catalog, uri.shown);
  }
}

function sshEndpointOf({ tunnel }: DiscoverSettings): string | undefined {
  if (tunnel === undefined) return undefined;
  const { user, host, port } = tunnel.target;
  return `ssh://${user}@${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** @throws MongotapError `usage` if changes cannot be printed as `as`; `config` for a file that discover has not made */
async function readEarlier(path: string, as: Settings["as"]): Promise<KnownCatalog> {
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

/** Prints the changes since `earlier`. Resolves to the problem that there are some, or to undefined. */
async function compareCatalogs(
  earlier: KnownCatalog,
  catalog: Catalog,
  scope: Scope,
  settings: DiscoverSettings,
): Promise<MongotapError | undefined> {
  // Print and parse the new catalog as well, so that both have been through the same conversion.
  const later = parseCatalog(asJson(catalog), "what is there now");
  const then = scopeFor(earlier.namespaces, earlier.exclude);
  const isShared = (entry: KnownCatalog["collections"][number]): boolean => scope.has(entry) && then.has(entry);
  const changes = changesBetween(
    { ...earlier, collections: earlier.collections.filter(isShared) },
    { ...later, collections: later.collections.filter(isShared) },
  );
  const comparison = { changes, since: earlier.at, collections: later.collections.filter(isShared).length };
  await print(settings.as === "json" ? diffJson(comparison) : diffTable(comparison));
  if (changes.length === 0) return undefined;
  return new MongotapError("threshold", `${countOf(changes.length, "change")} since ${settings.diff ?? ""} was made`);
}
