/**
 * Measures what compression of the connection saves and costs: the figures of docs/decisions/205-wire-compression.md. Copies one
 * collection through a slow network and through a fast one, without and with each compressor. `bun scripts/bench/wire.ts`
 */

import { MongoClient } from "mongodb";
import { commandUnderTest } from "../../test/support/command.ts";
import { documents } from "../../test/support/documents.ts";
import { type Proxy, startProxy } from "../../test/support/proxy.ts";
import { startReplicaSet } from "../mongod.ts";

const DOCUMENTS = 20_000;
const ROUNDS = 3;
const WAYS = ["none", "zlib", "zstd"] as const;
/** Bytes per second. */
const NETWORKS = [
  { name: "10 MB/s", bandwidth: 10e6 },
  { name: "no limit", bandwidth: Number.POSITIVE_INFINITY },
] as const;

interface Cost {
  readonly bytes: number;
  readonly ms: number;
  /** Processor time of mongotap. */
  readonly cpuMs: number;
}

async function copy(proxy: Proxy, way: (typeof WAYS)[number]): Promise<Cost> {
  const { program, args } = commandUnderTest();
  const more = way === "none" ? [] : ["--compressors", way];
  const before = proxy.bytes.toClient;
  const began = performance.now();
  const child = Bun.spawn([program, ...args, "backfill", "shop.orders", "--log-level", "error", ...more], {
    env: { ...process.env, MONGOTAP_URI: `mongodb://127.0.0.1:${proxy.port}/?directConnection=true` },
    stdio: ["ignore", "ignore", "inherit"],
  });
  if ((await child.exited) !== 0) throw new Error(`mongotap ended with ${child.exitCode}`);
  const cpuMs = Number(child.resourceUsage()?.cpuTime.total ?? 0n) / 1000;
  return { bytes: proxy.bytes.toClient - before, ms: performance.now() - began, cpuMs };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

await using set = await startReplicaSet({ members: 1 });
await using client = await MongoClient.connect(set.uri);
const orders = client.db("shop").collection("orders");
for (let from = 0; from < DOCUMENTS; from += 5_000) await orders.insertMany([...documents("typical", 5_000, from)]);
await using proxy = await startProxy({ port: Number(/:(\d+)/.exec(set.uri)?.[1]) });
await copy(proxy, "none");
console.log(`${DOCUMENTS} documents\n`);
console.log("| network | compressor | MB on the wire | seconds | seconds of processor |\n|---|---|---|---|---|");
for (const { name, bandwidth } of NETWORKS) {
  proxy.bandwidth(bandwidth, "together");
  const costs = new Map<string, Cost[]>(WAYS.map((way) => [way, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) costs.get(way)?.push(await copy(proxy, way));
  }
  for (const [way, measured] of costs) {
    const mb = median(measured.map(({ bytes }) => bytes)) / 1e6;
    const seconds = median(measured.map(({ ms }) => ms)) / 1000;
    const cpu = median(measured.map(({ cpuMs }) => cpuMs)) / 1000;
    console.log(`| ${name} | ${way} | ${mb.toFixed(1)} | ${seconds.toFixed(2)} | ${cpu.toFixed(2)} |`);
  }
}
