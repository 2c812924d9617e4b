/** `mongotap discover`: databases and collections with type, documents and size. */

import { connectionStringOf } from "../config/source.ts";
import { connect } from "../connect/client.ts";
import { countOf, sizeOf } from "../observe/stats.ts";
import { tableOf } from "../observe/table.ts";
import { type Binding, isBound, parseBinding } from "../source/bindings.ts";
import { type CollectionInfo, listCollections, listDatabases, measure, type Measured } from "../source/catalog.ts";
import { bindingsOf } from "./bindings.ts";
import type { Command } from "./command.ts";
import { print } from "./print.ts";

/** One line of the list. `documents` and `bytes` are null where the server keeps no count (views). */
interface Found extends Measured {
  readonly db: string;
  readonly collection: string;
  readonly type: CollectionInfo["type"];
  readonly capped: boolean;
  readonly images: boolean;
  readonly uuid: string | null;
}

export const discover: Command = async (invocation) => {
  const { settings, log, world } = invocation;
  const bindings = bindingsOf(invocation);
  const excluded = settings.exclude.map(parseBinding);
  const uri = await connectionStringOf(settings);
  log.hide(uri.secrets);
  await using connection = await connect(uri, "mongotap", world.signal);
  const { client } = connection;
  const databases = bindings.length === 0 ? await listDatabases(client) : [...new Set(bindings.map((b) => b.db))];
  const found: Found[] = [];
  for (const db of databases) {
    for (const info of (await listCollections(client, db)).filter((c) => isWanted(bindings, excluded, c))) {
      const { type, capped, images, uuid } = info;
      found.push({
        db,
        collection: info.namespace.collection,
        type,
        ...(await measure(client, info)),
        capped,
        images,
        uuid,
      });
    }
  }
  if (found.length === 0) log.warn("nothing found");
  await print(settings.as === "json" ? jsonOf(found) : textOf(found));
  return 0;
};

function isWanted(bindings: readonly Binding[], excluded: readonly Binding[], { namespace }: CollectionInfo): boolean {
  return bindings.length === 0 ? !isBound(excluded, namespace) : isBound(bindings, namespace);
}

/** A JSON array with one object on each line. */
function jsonOf(found: readonly Found[]): string {
  return `[\n${found.map((row) => JSON.stringify(row)).join(",\n")}\n]\n`;
}

function textOf(found: readonly Found[]): string {
  const rows = found.map(({ db, collection, type, documents, bytes, capped, images }) => [
    `${db}.${collection}`,
    type,
    documents === null ? "-" : documents.toLocaleString("en-US"),
    bytes === null ? "-" : sizeOf(bytes),
    [capped ? "capped" : "", images ? "images" : ""].filter((note) => note !== "").join(", "),
  ]);
  const table = tableOf(["NAMESPACE", "TYPE", "DOCUMENTS", "SIZE", "NOTES"], rows, [2, 3]);
  return `${table}\n${countOf(found.length, "collection")}\n`;
}
