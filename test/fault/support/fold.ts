/** What a consumer makes of the output of a capture of several collections, compared with the collections themselves. */
import { BSON, type Db } from "mongodb";
import type { Line } from "../../cli/tap.ts";

/** By collection and key, the newest document: a delete takes its document, an end all of its collection. */
function foldOf(lines: readonly Line[]): Map<string, Map<string, string>> {
  const folded = new Map<string, Map<string, string>>();
  for (const { _meta, ...document } of lines) {
    if (_meta === undefined) throw new Error(`a line without _meta: ${JSON.stringify(document)}`);
    const { db, collection } = _meta.source;
    const name = `${db}.${collection}`;
    const documents = folded.get(name) ?? new Map<string, string>();
    folded.set(name, documents);
    const key = JSON.stringify(document["_id"]);
    if (_meta.op === "t") documents.clear();
    else if (_meta.op === "d") documents.delete(key);
    else if (_meta.missing === undefined) documents.set(key, JSON.stringify(document));
  }
  return folded;
}

/** Where the fold of `lines` is not what the databases hold; `except`: collections (`db.collection`) that are not read. */
export async function differencesOf(
  lines: readonly Line[],
  databases: readonly Db[],
  except: readonly string[] = [],
): Promise<string[]> {
  const found = new Map([...foldOf(lines)].flatMap(([name, documents]) => entriesOf(name, documents)));
  const wanted = new Map<string, string>();
  for (const db of databases) {
    for (const { collectionName } of await db.collections()) {
      const name = `${db.databaseName}.${collectionName}`;
      if (except.includes(name)) continue;
      for await (const document of db.collection(collectionName).find())
        wanted.set(`${name} ${JSON.stringify(document._id)}`, BSON.EJSON.stringify(document, { relaxed: true }));
    }
  }
  return [...new Set([...found.keys(), ...wanted.keys()])]
    .filter((key) => found.get(key) !== wanted.get(key))
    .map((key) => `${key} is ${found.get(key) ?? "absent"} in the output, not ${wanted.get(key) ?? "absent"}`)
    .slice(0, 20);
}

function entriesOf(name: string, documents: ReadonlyMap<string, string>): [string, string][] {
  return [...documents].map(([key, document]) => [`${name} ${key}`, document]);
}
