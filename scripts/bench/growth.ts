/** Whether the time per document stays the same when a collection grows. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { smallDocument } from "../../test/support/documents.ts";
import { drain, mongotapCommand } from "./backfill.ts";
import { type Loaded, loadCollection } from "./load.ts";
import { BY_ID, MONGOTAP } from "./names.ts";
import { type Outcome, runProcess } from "./process.ts";
import type { Race } from "./results.ts";
import { type Contestant, takeTurns } from "./rounds.ts";
import type { BenchContext } from "./context.ts";

/** One document: the fixed cost of a run. */
export const ALMOST_NONE = 1;

export async function measureGrowth(context: BenchContext): Promise<Race[]> {
  const sizes = [ALMOST_NONE, ...context.growth];
  const loaded: Loaded[] = [];
  for (const size of sizes) {
    context.log(`growth: loading ${size}`);
    loaded.push(await loadCollection(context.client, `growth${size}`, size, smallDocument));
  }
  // All sizes in one race, so that they are measured at the same time.
  const contestants = loaded.flatMap((one): Contestant[] => {
    const { database, collection, documents } = one;
    const limit = [context.programs.client, "drain-by-id", context.uri, database, collection];
    return [
      { name: BY_ID, run: () => drain(limit, documents) },
      { name: MONGOTAP, run: () => toFile(context, one) },
    ];
  });
  for (const contestant of contestants) await contestant.run();
  const rows = await takeTurns(context, "growth", contestants, { rounds: context.rounds * 2 });
  for (const { database, collection } of loaded) await context.client.db(database).dropCollection(collection);
  return loaded.map(({ documents, bytes }, index) => {
    const title = `${documents.toLocaleString("en-US")} small documents`;
    const own = rows.slice(index * 2, index * 2 + 2);
    return { kind: "race", id: `growth-${documents}`, title, documents, bytes, rows: own, absent: [] };
  });
}

async function toFile(context: BenchContext, loaded: Loaded): Promise<Outcome> {
  const file = join(context.folder, "output");
  const finished = await runProcess({ command: [...mongotapCommand(context, "backfill", loaded), "--out", file] });
  const { size } = Bun.file(file);
  await rm(file);
  return { finished, bytes: size };
}
