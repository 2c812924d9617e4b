/** `mongotap discover`: databases and collections, and the fields of their documents, in the form that is asked for. */

import { connectionStringOf } from "../config/source.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import { asTable } from "../discover/as-table.ts";
import type { Catalog } from "../discover/collection.ts";
import type { Command, Invocation } from "./command.ts";
import { compareCatalogs, readEarlier } from "./discover-diff.ts";
import { readEntries, type Scope, scopeOf } from "./discover-read.ts";
import { print } from "./print.ts";
import { openConnection } from "./tunnel.ts";

export const discover: Command = async (invocation) => {
  const { settings, log } = invocation;
  const earlier = settings.diff === undefined ? undefined : await readEarlier(settings.diff, settings.as);
  const scope = scopeOf(invocation, earlier);
  const uri = await connectionStringOf(settings);
  log.hide(uri.secrets);
  const catalog = await catalogOf(invocation, scope, uri);
  if (earlier !== undefined) return compareCatalogs(earlier, catalog, scope, settings);
  await print(await textOf(catalog, invocation, uri));
  return 0;
};

async function catalogOf(invocation: Invocation, scope: Scope, uri: ConnectionString): Promise<Catalog> {
  const { context, log } = invocation;
  await using connection = await openConnection(invocation, uri);
  const entries = await readEntries(connection, scope, invocation);
  if (entries.length === 0) log.warn("nothing found");
  const { namespaces, exclude } = scope;
  return { version: context.version, namespaces, exclude, at: new Date().toISOString(), entries };
}

/** Each form brings its own code, when it is asked for. */
async function textOf(catalog: Catalog, { settings, log }: Invocation, uri: ConnectionString): Promise<string> {
  switch (settings.as) {
    case "table":
      return asTable(catalog);
    case "json":
      return (await import("../discover/as-json.ts")).asJson(catalog);
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

function sshEndpointOf({ tunnel }: Invocation["settings"]): string | undefined {
  if (tunnel === undefined) return undefined;
  const { user, host, port } = tunnel.target;
  return `ssh://${user}@${host.includes(":") ? `[${host}]` : host}:${port}`;
}
