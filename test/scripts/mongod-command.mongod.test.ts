/** `npm run mongod`: a replica set for a developer. */
import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { rejectionOf } from "../support/rejection.ts";

const SCRIPT = join(import.meta.dirname, "../../scripts/mongod.ts");
const PORT = 33_017 + (process.pid % 5_000);

function startScript(...args: readonly string[]): {
  output: Promise<string>;
  first: Promise<string>;
  stop: () => void;
} {
  const child = spawn(process.execPath, [SCRIPT, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let all = "";
  const first = new Promise<string>((resolve) => child.stdout.once("data", (chunk) => resolve(String(chunk).trim())));
  child.stdout.on("data", (chunk) => (all += chunk));
  child.stderr.on("data", (chunk) => (all += chunk));
  const output = new Promise<string>((resolve) => child.once("close", (code) => resolve(`${all}exit ${code}`)));
  return { first, output, stop: () => void child.kill("SIGINT") };
}

test("mongod.ts prints the URI of a set on the wanted port, and stops it on Ctrl-C", async () => {
  const script = startScript("--port", String(PORT));
  const uri = await script.first;
  expect(uri).toBe(`mongodb://127.0.0.1:${PORT}/?replicaSet=rs`);
  {
    await using client = await MongoClient.connect(uri);
    await client.db("a").collection("b").insertOne({ x: 1 });
  }
  script.stop();
  expect(await script.output).toMatch(/Ctrl-C stops it\.\nexit 0$/);
  await rejectionOf(MongoClient.connect(uri, { serverSelectionTimeoutMS: 300 }));
});

test("mongod.ts refuses an unknown option and a wrong number of members in one line", async () => {
  expect(await startScript("--membres", "3").output).toMatch(/^Unknown option '--membres'[^\n]*\nexit 1$/);
  expect(await startScript("--members", "2").output).toBe("--members is 1 or 3\nexit 1");
  expect(await startScript("--port", "x").output).toBe("--port is a number\nexit 1");
});
