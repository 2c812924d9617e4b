/**
 * Shows the main promise in about a minute: `npm run demo [-- --orders N --seconds N]`. Captures a collection into a file
 * while a writer keeps changing it, kills the capture with `kill -9` again and again, resumes it, and proves that the
 * file holds every change exactly once. Exits 1 if it does not. Leaves no files and no processes behind.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BSON, type Collection, MongoClient, type ObjectId } from "mongodb";
import { Capture, type CaptureStatus } from "./demo/capture.ts";
import { newOrder, type Order } from "./demo/orders.ts";
import { examine, type Verdict } from "./demo/proof.ts";
import { startWriter, type Writer } from "./demo/writer.ts";
import { Random, SEED_VARIABLE, seedFrom } from "./lib/random.ts";
import { startReplicaSet } from "./mongod.ts";
import { guardFolder } from "../npm/mongod/watchdog.ts";

const NAMESPACE = "shop.orders";
const KILLS_IN_BACKFILL = 3;
const KILLS_IN_STREAM = 4;
const FILL_BATCH = 2_000;

const startedAt = performance.now();
const count = (n: number): string => n.toLocaleString("en-US");

/** Prints one line: the time since the start, what happened, and details. */
function log(what: string, more: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${seconds.padStart(6)} s  ${what.padEnd(11)} ${more.replaceAll("\n", `\n${" ".repeat(22)}`)}`);
}

async function fill(orders: Collection<Order>, size: number, random: Random): Promise<ObjectId[]> {
  const keys: ObjectId[] = [];
  let pending: Promise<unknown> = Promise.resolve();
  while (keys.length < size) {
    const batch = Array.from({ length: Math.min(FILL_BATCH, size - keys.length) }, (_, i) =>
      newOrder(random, keys.length + i),
    );
    keys.push(...batch.map((order) => order._id));
    await pending;
    pending = orders.insertMany(batch, { writeConcern: { w: 1 } });
  }
  await pending;
  await orders.updateOne({ _id: keys[0] as ObjectId }, { $inc: { revision: 1 } }); // waits until a majority has it all
  return keys;
}

/** Kills the capture, starts it again, and logs how many bytes the state did not cover. */
async function killAndResume(capture: Capture, number: number): Promise<void> {
  await capture.kill();
  const before = await capture.status();
  if (!before) throw new Error("the capture left no state behind");
  log(`kill -9  ${number}`, `${phaseText(before)}; the file has ${count(before.fileBytes)} bytes`);
  capture.start();
  await capture.until((now) => now.seq > before.seq); // each run saves its state at once, when it has cut the file
  const cut = before.fileBytes - before.committedBytes;
  const rest = cut === 0 ? "where the file ends" : `the ${count(cut)} after it, which no state covered, were cut off`;
  log(`resume   ${number}`, `at byte ${count(before.committedBytes)}: ${rest}`);
}

function phaseText({ phase, rows }: CaptureStatus): string {
  return phase === "live" ? "in the stream" : `in the backfill, ${count(rows)} documents committed`;
}

/** Kills at random sizes of the file, each larger than the last. Resolves with how often, less if the copy is faster. */
async function killInBackfill(capture: Capture, fullSize: number, random: Random): Promise<number> {
  for (let kills = 0; kills < KILLS_IN_BACKFILL; kills += 1) {
    const goal = (fullSize * (kills + random.between(0.25, 0.75))) / KILLS_IN_BACKFILL;
    const { phase } = await capture.until((now) => now.fileBytes >= goal || now.phase === "live");
    if (phase === "live") return kills;
    await killAndResume(capture, kills + 1);
  }
  return KILLS_IN_BACKFILL;
}

async function killInStream(capture: Capture, before: number, seconds: number, random: Random): Promise<number> {
  await capture.until((now) => now.phase === "live");
  log("live", "every order is copied; from here on the file follows the stream");
  for (let kills = 0; kills < KILLS_IN_STREAM; kills += 1) {
    await sleep((seconds / KILLS_IN_STREAM) * random.between(0.5, 1.5) * 1000);
    await killAndResume(capture, before + kills + 1);
  }
  return before + KILLS_IN_STREAM;
}

async function catchUp(capture: Capture, writer: Writer): Promise<void> {
  await sleep(1_000);
  await capture.kill();
  await writer.stop();
  const { c, u, d } = writer.ledger.counts;
  log("kill -9   ", "once more, before the writer stops");
  log(
    "writer",
    `${count(c + u + d)} acknowledged writes: ${count(c)} inserts, ${count(u)} updates, ${count(d)} deletes`,
  );
  capture.start(["--until", "caught-up"]);
  const exit = await capture.ended();
  log("caught up", `the last run ends by itself with exit code ${exit}\n${capture.stderr.trim()}`);
  if (exit !== 0) throw new Error("the last run should have ended with exit code 0");
}

async function judge(capture: Capture, writer: Writer, orders: Collection<Order>): Promise<Verdict> {
  const collection = new Map<string, string>();
  const exact = { promoteValues: false, promoteLongs: false } as const;
  for await (const bytes of orders.find<Uint8Array>({}, { raw: true, batchSize: 5_000 })) {
    const order = BSON.deserialize(bytes, exact) as Order;
    collection.set(order._id.toHexString(), BSON.EJSON.stringify(order, { relaxed: false }));
  }
  const state = await capture.status();
  if (!state) throw new Error("the capture left no state behind");
  return examine(await readFile(capture.out), { ledger: writer.ledger.byKey, collection, state });
}

/** Prints each claim and whether it holds. Returns the exit code. */
function printVerdict({ claims, missing }: Verdict, kills: number): number {
  console.log("\nThe file, compared with the acknowledged writes and with the collection:");
  for (const { text, faults } of claims) {
    console.log(`  ${faults.length === 0 ? "ok    " : "WRONG "} ${text.replaceAll("\n", `\n${" ".repeat(9)}`)}`);
    for (const fault of faults.slice(0, 5)) console.log(`           ${fault.slice(0, 200)}`);
    if (faults.length > 5) console.log(`           … and ${count(faults.length - 5)} more`);
  }
  if (missing > 0) console.log(`  (${count(missing)} updates have no document)`);
  const wrong = claims.filter(({ faults }) => faults.length > 0).length;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.log(
    wrong === 0
      ? `\nExactly once, after ${kills} times kill -9. ${seconds} s in all.`
      : `\nFAILED: ${wrong} of ${claims.length} claims do not hold after ${kills} times kill -9.`,
  );
  return wrong === 0 ? 0 : 1;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface Options {
  /** Orders in the collection when the capture begins. */
  readonly size: number;
  /** How long the capture is killed while it follows the stream. */
  readonly seconds: number;
  readonly seed: number;
}

async function run(resources: AsyncDisposableStack, { size, seconds, seed }: Options): Promise<number> {
  console.log("mongotap demo: capture a collection while it changes, kill the capture, resume it, prove the file");
  console.log(`${SEED_VARIABLE}=${seed}\n`);
  const moments = Random.for(seed, "moments of the kills");
  const folder = await mkdtemp(join(tmpdir(), "mongotap-demo-"));
  const release = guardFolder(folder);
  resources.defer(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    release();
  });
  const set = resources.use(await startReplicaSet({ members: 1 }));
  log("server", `mongod ${set.version} at ${set.uri}`);
  const client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  resources.defer(() => client.close());
  const orders = client.db("shop").collection<Order>("orders");
  const keys = await fill(orders, size, Random.for(seed, "orders"));
  const sample = await orders.find({}, { promoteValues: false, limit: 100 }).toArray();
  const fullSize = (BSON.EJSON.stringify(sample, { relaxed: false }).length / sample.length + 150) * size;
  log("fill", `${count(size)} orders in ${NAMESPACE}`);

  const capture = new Capture(set.uri, NAMESPACE, folder);
  resources.defer(() => capture.kill());
  log("capture", `mongotap ${capture.arguments.join(" ")}`);
  capture.start();
  await capture.until(() => true);
  log("position", "the position in the stream is pinned and saved; no document is copied yet");
  const writer = startWriter(orders, keys, seed);
  log("writer", "starts: inserts, updates, replaces, deletes, inserts again; write concern majority");

  const inBackfill = await killInBackfill(capture, fullSize, moments);
  const kills = await killInStream(capture, inBackfill, seconds, moments);
  await catchUp(capture, writer);
  return printVerdict(await judge(capture, writer, orders), kills + 1);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { orders: { type: "string", default: "100000" }, seconds: { type: "string", default: "14" } },
  });
  const resources = new AsyncDisposableStack();
  let interrupted = false;
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.once(signal, () => {
      interrupted = true;
      console.log("\nstopping …");
      void resources.disposeAsync().finally(() => process.exit(code));
    });
  }
  try {
    return await run(resources, {
      size: Number(values.orders),
      seconds: Number(values.seconds),
      seed: seedFrom(process.env),
    });
  } catch (error) {
    if (interrupted) return await new Promise<never>(() => undefined); // the signal's handler ends the process
    console.error(`\nFAILED: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    if (!interrupted) await resources.disposeAsync();
  }
}

process.exit(await main());
