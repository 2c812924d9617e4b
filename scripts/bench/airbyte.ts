/** `airbyte read` of an idle collection against a capture of it, both into /dev/null: the cost of the messages. */

import { closeSync, openSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { typicalDocument } from "../../test/support/documents.ts";
import { mongotapCommand } from "./backfill.ts";
import type { BenchContext } from "./context.ts";
import { loadCollection } from "./load.ts";
import { AIRBYTE, AIRBYTE_DATA, CAPTURE } from "./names.ts";
import { type Outcome, runProcess } from "./process.ts";
import type { Race } from "./results.ts";
import { takeTurns } from "./rounds.ts";

export async function measureAirbyte(context: BenchContext): Promise<Race[]> {
  context.log("airbyte: loading");
  const loaded = await loadCollection(context.client, "synced", context.documents, typicalDocument);
  const { database, collection, documents, bytes } = loaded;
  const stream = { name: `${database}.${collection}`, json_schema: {} };
  const catalog = { streams: [{ stream, sync_mode: "incremental", destination_sync_mode: "append_dedup" }] };
  const catalogFile = join(context.folder, "catalog.json");
  await writeFile(catalogFile, JSON.stringify(catalog));
  const airbyte = async (columns: string): Promise<string[]> => {
    const config = join(context.folder, `config-${columns}.json`);
    await writeFile(config, JSON.stringify({ uri: context.uri, database, columns, logLevel: "error" }));
    return [context.programs.mongotap, "airbyte", "read", "--config", config, "--catalog", catalogFile];
  };
  const [fields, data] = [await airbyte("fields"), await airbyte("data")];
  const capture = [...mongotapCommand(context, "capture", loaded), "--until", "caught-up"];
  for (const command of [fields, data]) await checkRecords(command, documents);
  const rows = await takeTurns(context, "airbyte", [
    { name: CAPTURE, run: () => discard(capture) },
    { name: AIRBYTE, run: () => discard(fields) },
    { name: AIRBYTE_DATA, run: () => discard(data) },
  ]);
  await context.client.db(database).dropCollection(collection);
  const title = "an idle collection of typical documents, to /dev/null";
  return [{ kind: "race", id: "airbyte", title, documents, bytes, rows, absent: [] }];
}

async function discard(command: readonly string[]): Promise<Outcome> {
  const stdout = openSync("/dev/null", "w");
  try {
    return { finished: await runProcess({ command, stdout }), bytes: 0 };
  } finally {
    closeSync(stdout);
  }
}

/** Rejects where the messages are not one record for each document, and the states that count them. */
async function checkRecords(command: readonly string[], documents: number): Promise<void> {
  const { stdout } = await runProcess({ command });
  let records = 0;
  let counted = 0;
  for (const line of stdout.trimEnd().split("\n")) {
    if (line.startsWith('{"type":"RECORD"')) records += 1;
    else counted += Number(/"recordCount":([0-9.]+)/.exec(line)?.[1] ?? 0);
  }
  if (records !== documents || counted !== documents)
    throw new Error(`${records} records, of which states count ${counted}, not ${documents}`);
}
