/** The download gives up within seconds if the network blocks it. */
import { afterEach, expect, test } from "bun:test";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { type RequestListener, createServer } from "node:http";
import { promisify } from "node:util";
import { DOWNLOAD, mongodFromDownload } from "../../npm/mongod/download.ts";
import { findMongod } from "../../npm/mongod/find.ts";
import { rejectionOf } from "../support/rejection.ts";
import { tempDir } from "../support/temp.ts";

const VERSION = "8.2.6";

afterEach(() => {
  delete process.env["MONGOMS_DOWNLOAD_MIRROR"];
  delete process.env["MONGOMS_USE_HTTP"];
});

/** Redirects the downloads of this test to a local server with this handler. */
async function startMirror(answer: RequestListener): Promise<Disposable> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  process.env["MONGOMS_DOWNLOAD_MIRROR"] = `http://127.0.0.1:${address.port}`;
  process.env["MONGOMS_USE_HTTP"] = "1";
  return {
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function failureOfDownload(
  answer: RequestListener,
  patience: { firstByteMs: number; stallMs: number },
): Promise<string> {
  await using dir = await tempDir();
  using _mirror = await startMirror(answer);
  await mkdir(dir.join("ready"));
  await mkdir(dir.join("downloads"));
  const failure = await rejectionOf(mongodFromDownload(VERSION, dir.join("ready"), dir.join("downloads"), patience));
  return failure.message;
}

test("mongodFromDownload() gives up without an answer", async () => {
  expect(await failureOfDownload(() => undefined, { firstByteMs: 500, stallMs: 30_000 })).toBe("no answer in 0.5 s");
});

test("mongodFromDownload() gives up when the download stalls", async () => {
  const message = await failureOfDownload(
    (_request, response) => {
      response.writeHead(200, { "content-length": "90000000" });
      response.write(Buffer.alloc(200_000));
    },
    { firstByteMs: 30_000, stallMs: 300 },
  );
  expect(message).toBe("the download stalled");
});

test("mongodFromDownload() rejects with the reason in one line, after one attempt", async () => {
  let requests = 0;
  const message = await failureOfDownload(
    (_request, response) => {
      requests += 1;
      response.writeHead(403).end("no");
    },
    { firstByteMs: 30_000, stallMs: 30_000 },
  );
  expect(message).toMatch(/403/);
  expect(message).not.toContain("\n");
  expect(requests).toBe(1);
});

test("findMongod() keeps a complete download", async () => {
  await using dir = await tempDir();
  await mkdir(dir.join("mongodb/bin"), { recursive: true });
  // The package takes a file below 1 MiB for a truncated one.
  const program = `#!/bin/sh\necho "db version v${VERSION}"\nexit\n${"#".repeat(2 ** 21)}\n`;
  await writeFile(dir.join("mongodb/bin/mongod"), program, { mode: 0o755 });
  await promisify(execFile)("tar", ["-czf", "mongodb.tgz", "mongodb"], { cwd: dir.path });
  const archive = await readFile(dir.join("mongodb.tgz"));
  const checksum = Buffer.from(`${createHash("md5").update(archive).digest("hex")}  mongodb.tgz\n`);
  using _mirror = await startMirror(({ url }, response) => {
    const file = url?.endsWith(".md5") === true ? checksum : archive;
    response.writeHead(200, { "content-length": file.length }).end(file);
  });
  const environment = { MONGOTAP_CACHE: dir.join("cache") };
  const expected = { path: dir.join(`cache/mongod/${VERSION}/bin/mongod`), env: {}, version: VERSION };
  expect(await findMongod({ environment, fetchers: [DOWNLOAD] })).toEqual(expected);
  expect(await readdir(dir.join("cache/mongod"))).toEqual([VERSION]);
});
