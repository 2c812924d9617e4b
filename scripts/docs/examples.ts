/** Real lines of every envelope for docs/envelopes.md: what the program prints of a collection that is copied and changed. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Db, Decimal128, MongoClient } from "mongodb";
import { type EnvelopeName, ENVELOPES } from "../../src/protocol/envelopes.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

/** A line, and what it is of. */
export interface Example {
  readonly of: string;
  readonly line: string;
}

interface Order {
  readonly _id: number;
  readonly item: string;
  readonly price: Decimal128;
  readonly status: string;
}

interface Cart {
  readonly _id: number;
  readonly items: number;
}

const orderOf = (_id: number, item: string, price: string): Order => {
  return { _id, item, price: Decimal128.fromString(price), status: "new" };
};

/** What is done. All of it is done when the stream is read: only then are documents looked up. */
const CHANGES: readonly { readonly of: string; readonly make: (db: Db, uri: string) => Promise<unknown> }[] = [
  { of: "an insert", make: (db) => db.collection<Order>("orders").insertOne(orderOf(2, "cup", "7.00")) },
  { of: "an update", make: (db) => pay(db, 1) },
  { of: "a delete", make: (db) => db.collection<Order>("orders").deleteOne({ _id: 3 }) },
  {
    of: "an update whose document the same transaction deletes",
    make: ({ databaseName }, uri) => payAndDelete(uri, databaseName),
  },
  { of: "that delete", make: () => Promise.resolve() },
];
const WITH_IMAGES = {
  of: "an update in a collection that keeps images",
  make: (db: Db) => db.collection<Cart>("carts").updateOne({ _id: 1 }, { $inc: { items: 1 } }),
};
/**
 * Ends a run that names the collection, so the database is read as a whole; of a collection of its own, because updates from
 * before the end of theirs are not readable.
 */
const DROP = { of: "the end of a collection", make: (db: Db) => db.collection("drafts").drop() };
/** `none` has lines for documents only. */
const SHOWN_BARE = new Set(["an insert", "an update", WITH_IMAGES.of]);

/** `db` is empty, and on the server at `uri`. `images`: the server can keep them (6.0). */
export async function makeExamples(db: Db, uri: string, images: boolean): Promise<Record<EnvelopeName, Example[]>> {
  const orders = `${db.databaseName}.orders`;
  await db
    .collection<Order>("orders")
    .insertMany([orderOf(1, "tea", "12.50"), orderOf(3, "jug", "20.00"), orderOf(4, "pot", "35.90")]);
  await db.createCollection("carts", images ? { changeStreamPreAndPostImages: { enabled: true } } : {});
  await db.collection<Cart>("carts").insertOne({ _id: 1, items: 1 });
  await db.createCollection("drafts");
  const rows = ENVELOPES.map((envelope) => linesOf(["backfill", orders, "--limit", "1"], envelope, uri));
  const start = await nextSecond();
  const changes = [...CHANGES, ...(images ? [WITH_IMAGES] : []), DROP];
  for (const { make } of changes) await make(db, uri);
  const tail = ["tail", db.databaseName, "--start-at", start, "--until", "caught-up"];
  const examples = ENVELOPES.map((envelope, i): [EnvelopeName, Example[]] => {
    const shown = changes.filter(({ of }) => envelope !== "none" || SHOWN_BARE.has(of));
    const titles = ["a copied document", ...shown.map(({ of }) => of)];
    return [envelope, titled(titles, [...(rows[i] ?? []), ...linesOf(tail, envelope, uri)])];
  });
  return Object.fromEntries(examples) as Record<EnvelopeName, Example[]>;
}

/** Resolves when a second begins, to that second. */
async function nextSecond(): Promise<string> {
  const second = Math.floor(Date.now() / 1000) + 1;
  await sleep(second * 1000 - Date.now() + 10);
  return String(second);
}

async function pay(db: Db, _id: number): Promise<unknown> {
  return await db.collection<Order>("orders").updateOne({ _id }, { $set: { status: "paid" } });
}

async function payAndDelete(uri: string, name: string): Promise<unknown> {
  await using client = await MongoClient.connect(uri);
  const orders = client.db(name).collection<Order>("orders");
  return await client.withSession((session) =>
    session.withTransaction(async () => {
      await orders.updateOne({ _id: 4 }, { $set: { status: "paid" } }, { session });
      await orders.deleteOne({ _id: 4 }, { session });
    }),
  );
}

function titled(titles: readonly string[], lines: readonly string[]): Example[] {
  if (titles.length !== lines.length)
    throw new Error(`${titles.length} lines were expected, not:\n${lines.join("\n")}`);
  return lines.map((line, i) => ({ of: titles[i] ?? "", line }));
}

function linesOf(args: readonly string[], envelope: EnvelopeName, uri: string): string[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args, "--envelope", envelope], {
    env: { ...process.env, MONGOTAP_URI: uri },
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`mongotap ${args.join(" ")} ended with ${status}: ${stderr}`);
  return stdout.split("\n").filter((line) => line !== "");
}

/** The block of the document. */
export function exampleBlock(examples: readonly Example[]): string {
  return `\`\`\`jsonc\n${examples.map(({ of, line }) => `// ${of}\n${line}`).join("\n")}\n\`\`\``;
}

/** The examples in a block of the document. */
export function readBlock(block: string): Example[] {
  return [...block.matchAll(/^\/\/ (.*)\n(\{.*\})$/gm)].map(([, of = "", line = ""]) => ({ of, line }));
}

/** What differs from run to run and from server to server, replaced by one thing. */
export function normalize(line: string, database = "shop"): string {
  return line
    .replaceAll(`"${database}"`, '"shop"')
    .replaceAll(`"${database}.`, '"shop.')
    .replaceAll(/"(order|_data)":"[0-9A-Fa-f]+"/g, '"$1":"…"')
    .replaceAll(/"base64":"[^"]+"/g, '"base64":"…"') // lsid
    .replaceAll(/"(ts_ms|_ts_ms|ord|t|i|txnNumber)":\d+/g, '"$1":0')
    .replaceAll(/"_offset":"[0-9a-f]+"/g, '"_offset":"…"')
    .replaceAll(/,"wallTime":\{[^}]*\}/g, "") // 6.0, as the next
    .replaceAll(',"fullDocumentBeforeChange":null', "")
    .replaceAll(/"(version)":"[\d.]+"/g, '"$1":"…"')
    .replaceAll(/,"disambiguatedPaths":\{\}/g, "");
}
