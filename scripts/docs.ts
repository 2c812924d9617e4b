/**
 * Checks the generated parts of the documentation: `bun scripts/docs.ts` exits with 1 if one is out of date, `--write` writes
 * them. `--examples` writes the lines of docs/envelopes.md, with a server of its own.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { GENERATED, refresh, ROOT, withBlock } from "./docs/blocks.ts";
import { exampleBlock, makeExamples } from "./docs/examples.ts";
import { startReplicaSet } from "./mongod.ts";

const ENVELOPES = "docs/envelopes.md";

function check(write: boolean): void {
  for (const path of Object.keys(GENERATED)) {
    const text = readFileSync(join(ROOT, path), "utf8");
    const fresh = refresh(path, text);
    if (fresh === text) continue;
    if (write) writeFileSync(join(ROOT, path), fresh);
    else process.exitCode = 1;
    console.log(`${path} ${write ? "written" : "is out of date: bun scripts/docs.ts --write"}`);
  }
}

async function writeExamples(): Promise<void> {
  await using set = await startReplicaSet({ members: 1 });
  await using client = await MongoClient.connect(set.uri);
  const examples = await makeExamples(client.db("shop"), set.uri, Number.parseInt(set.version, 10) >= 6);
  let text = readFileSync(join(ROOT, ENVELOPES), "utf8");
  for (const [name, lines] of Object.entries(examples)) text = withBlock(ENVELOPES, text, name, exampleBlock(lines));
  writeFileSync(join(ROOT, ENVELOPES), text);
  console.log(`${ENVELOPES} written`);
}

check(process.argv.includes("--write"));
if (process.argv.includes("--examples")) await writeExamples();
