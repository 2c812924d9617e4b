/** A capture of an idle collection against a backfill of it: the cost of the merge with the stream. */

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { mongotapCommand } from "./backfill.ts";
import { loadCollection } from "./load.ts";
import { BACKFILL, CAPTURE } from "./names.ts";
import { LineChecker } from "./output.ts";
import { type Outcome, runProcess } from "./process.ts";
import type { Race } from "./results.ts";
import { takeTurns } from "./rounds.ts";
import { typicalDocument } from "../../test/support/documents.ts";
import type { BenchContext } from "./context.ts";

export async function measureCapture(context: BenchContext): Promise<Race[]> {
  context.log("capture: loading");
  const loaded = await loadCollection(context.client, "captured", context.documents, typicalDocument);
  const { database, collection, documents, bytes } = loaded;
  const checker = new LineChecker({ documents, make: typicalDocument });
  // State and output are new in every run.
  const folder = join(context.folder, "capture");
  const file = join(folder, "output");
  const kept = ["--out", file, "--state", join(folder, "state"), "--envelope", "none"];
  const run = async (command: readonly string[]): Promise<Outcome> => {
    await mkdir(folder);
    const finished = await runProcess({ command: [...command, ...kept] });
    const written = checker.check(file);
    await rm(folder, { recursive: true });
    return { finished, bytes: written };
  };
  const backfill = mongotapCommand(context, "backfill", loaded);
  const capture = [...mongotapCommand(context, "capture", loaded), "--until", "caught-up"];
  await run(backfill);
  const rows = await takeTurns(context, "capture", [
    { name: BACKFILL, run: () => run(backfill) },
    { name: CAPTURE, run: () => run(capture) },
  ]);
  await context.client.db(database).dropCollection(collection);
  const title = "an idle collection of typical documents, with --state";
  return [{ kind: "race", id: "capture", title, documents, bytes, rows, absent: [] }];
}
