/** What goes over the network is compressed where that is asked for, in every runtime and without native packages. */
import { expect, test } from "bun:test";
import { documents } from "../support/documents.ts";
import { startProxy } from "../support/proxy.ts";
import { sharedReplicaSet, testDatabase } from "../support/replica-set.ts";
import { type Tap, tapAt } from "./tap.ts";

const COUNT = 2_000;

/** How many bytes the server has sent so far by each way, before and after its compressor. */
type Compression = Readonly<
  Record<string, { readonly compressor: { readonly bytesIn: number; readonly bytesOut: number } }>
>;

interface Setting extends AsyncDisposable {
  /** Through the proxy. */
  readonly tap: Tap;
  readonly uri: string;
  readonly collection: string;
  /** Bytes that came from the server since this was asked last. */
  received(): number;
  compression(): Promise<Compression>;
}

async function setting(): Promise<Setting> {
  const { client, db, name } = await testDatabase();
  await db.collection("c").insertMany([...documents("typical", COUNT)]);
  const [, port] = /:(\d+)/.exec((await sharedReplicaSet()).uri) ?? [];
  const proxy = await startProxy({ port: Number(port) });
  const uri = `mongodb://127.0.0.1:${proxy.port}/?directConnection=true`;
  let before = 0;
  return {
    tap: tapAt(uri),
    uri,
    collection: `${name}.c`,
    received() {
      const since = proxy.bytes.toClient - before;
      before = proxy.bytes.toClient;
      return since;
    },
    compression: async () => (await client.db("admin").command({ serverStatus: 1 }))["network"].compression,
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

test.each(["zlib", "zstd"])("--compressors %s: the same lines, and several times fewer bytes come", async (way) => {
  await using at = await setting();
  const plain = await at.tap.expect(0, ["backfill", at.collection]);
  const uncompressed = at.received();
  const before = await at.compression();
  const { stdout } = await at.tap.expect(0, ["backfill", at.collection, "--compressors", way]);
  const after = await at.compression();
  expect(stdout).toBe(plain.stdout);
  expect(stdout.split("\n")).toHaveLength(COUNT + 1);
  expect(uncompressed).toBeGreaterThan(1_000_000);
  expect(uncompressed / at.received()).toBeGreaterThan(2);
  expect(sentBy(way, after) - sentBy(way, before)).toBeGreaterThan(1_000_000);
});

test("the connection string may say it as well, with the level of what we send", async () => {
  await using at = await setting();
  for (const [way, options] of [
    ["zlib", "compressors=zlib&zlibCompressionLevel=9"],
    ["zstd", "compressors=zstd,zlib"],
  ] as const) {
    const before = sentBy(way, await at.compression());
    await tapAt(`${at.uri}&${options}`).expect(0, ["backfill", at.collection]);
    expect(sentBy(way, await at.compression()) - before).toBeGreaterThan(1_000_000);
  }
});

test("a capture is compressed as well", async () => {
  await using at = await setting();
  const before = sentBy("zstd", await at.compression());
  const args = ["capture", at.collection, "--until", "caught-up", "--compressors", "zstd"];
  const { stdout } = await at.tap.expect(0, args);
  expect(stdout.split("\n")).toHaveLength(COUNT + 1);
  expect(sentBy("zstd", await at.compression()) - before).toBeGreaterThan(1_000_000);
});

test("check reports it; a connection string that contradicts it ends with 2", async () => {
  await using at = await setting();
  const { stdout } = await at.tap.run(["check", at.collection, "--compressors", "zstd,zlib"]);
  expect(stdout).toMatch(/options .*compressors=zstd,zlib/);
  const { stderr } = await tapAt(`${at.uri}&compressors=zlib`).expect(2, ["check", "--compressors", "zstd"]);
  expect(stderr).toContain("MONGOTAP_URI says compressors=zlib, and --compressors says zstd");
});

/** In bytes before compression. */
function sentBy(way: string, compression: Compression): number {
  return compression[way]?.compressor.bytesIn ?? 0;
}
