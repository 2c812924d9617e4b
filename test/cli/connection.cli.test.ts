import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet, type Standalone, startStandalone } from "../../scripts/mongod.ts";
import { CANARY, run, start } from "../support/cli.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { linesIn, linesOf, tapAt } from "./tap.ts";

/** A set with a key file, one user (SCRAM-SHA-256) whose password is the canary, and TLS with an authority of its own. */
let set: ReplicaSet;
/** TLS with a certificate for another host. */
let elsewhere: Standalone;

beforeAll(async () => {
  [set, elsewhere] = await Promise.all([
    startReplicaSet({ members: 1, auth: { user: "reader", password: CANARY }, tls: true }),
    startStandalone({ tls: { wrongHost: true } }),
  ]);
  await using client = await MongoClient.connect(set.uri);
  await client
    .db("shop")
    .collection("orders")
    .insertMany([{ _id: 1 as never }, { _id: 2 as never }]);
});

afterAll(async () => {
  await Promise.all([set.stop(), elsewhere.stop()]);
});

/** The URI with other options behind the question mark. */
function withOptions(uri: string, change: (options: URLSearchParams) => void): string {
  const [hosts = "", query = ""] = uri.split("?");
  const options = new URLSearchParams(query);
  options.set("serverSelectionTimeoutMS", "1000");
  change(options);
  return `${hosts}?${options}`;
}

test("with SCRAM-SHA-256 and TLS, backfill, tail and capture work as without", async () => {
  await using dir = await tempDir();
  const tap = tapAt(set.uri);
  expect(linesOf((await tap.expect(0, ["backfill", "shop.orders"])).stdout).map((line) => line._id)).toEqual([1, 2]);
  const args = [
    "capture",
    "shop.orders",
    "--out",
    dir.join("out"),
    "--state",
    dir.join("state"),
    "--until",
    "caught-up",
  ];
  await tap.expect(0, args);
  await using client = await MongoClient.connect(set.uri);
  await client
    .db("shop")
    .collection("orders")
    .insertOne({ _id: 3 as never }, { writeConcern: { w: "majority" } });
  await tap.expect(0, args);
  expect((await linesIn(dir.join("out"))).map((line) => line._id)).toEqual([1, 2, 3]);
  expect(await readFile(dir.join("state"), "utf8")).not.toContain(CANARY);
});

describe("refused, with one line and the right code:", () => {
  test("a wrong password, no user at all: 5", async () => {
    const wrong = withOptions(set.uri.replace(CANARY, `${CANARY}x`), () => undefined);
    const nobody = withOptions(set.uriWithoutCredentials, () => undefined);
    for (const uri of [wrong, nobody]) {
      const { stderr } = await tapAt(uri).expect(5, ["backfill", "shop.orders"]);
      expect(stderr).toMatch(/^mongotap: .+\n {2}Check user, password, authSource.+\n$/);
    }
  });

  test("an authority that we do not know: 4", async () => {
    const uri = withOptions(set.uri, (options) => options.delete("tlsCAFile"));
    const { stderr } = await tapAt(uri).expect(4, ["backfill", "shop.orders"]);
    expect(stderr).toMatch(/certificate|self.signed|issuer/i);
    // The user is secret too.
    expect(stderr).not.toContain("reader");
  });

  test("a certificate for another host: 4", async () => {
    const uri = withOptions(elsewhere.uri, () => undefined);
    expect((await tapAt(uri).expect(4, ["backfill", "shop.orders"])).stderr).toMatch(
      /elsewhere\.example|hostname|altnames|NotValidForName/i,
    );
  });

  test("a server that speaks TLS, asked without; and a CA file that is not there: 4 and 2", async () => {
    const plain = withOptions(set.uri, (options) => {
      options.delete("tls");
      options.delete("tlsCAFile");
    });
    await tapAt(plain).expect(4, ["backfill", "shop.orders"]);
    const missing = withOptions(set.uri, (options) => options.set("tlsCAFile", "/no/such/ca.pem"));
    expect((await tapAt(missing).expect(2, ["backfill", "shop.orders"])).stderr).toContain("/no/such/ca.pem");
  });

  test("an unknown host name: 4, and the name is in the message", async () => {
    const { stderr } = await tapAt("mongodb://no-such-host.invalid/?serverSelectionTimeoutMS=500").expect(4, [
      "discover",
    ]);
    expect(stderr).toContain("no-such-host.invalid");
  });
});

// That no output holds the password is checked by run() and start() for every test of this suite: it is the canary.
describe("the password", () => {
  test("is not printed however much is asked for, nor by errors, nor as JSON", async () => {
    const wrong = withOptions(set.uri.replace("reader", "writer"), () => undefined);
    for (const format of ["text", "json"]) {
      const args = ["backfill", "shop.orders", "--log-level", "debug", "--log-format", format];
      await tapAt(set.uri).expect(0, args);
      await tapAt(wrong).expect(5, args);
    }
    for (const uri of [
      `mongodb://u:${CANARY}@h:99999`,
      `mongodb://u:${CANARY}/@h`,
      `mongodb://u:${CANARY}%zz@h`,
      `mysql://u:${CANARY}@h`,
    ]) {
      await tapAt(uri).expect(2, ["backfill", "shop.orders", "--log-level", "debug"]);
    }
  });

  test("is seen by ps only where the user has put it", async () => {
    await using dir = await tempDir();
    await writeFile(dir.join("uri"), `${set.uri}\n`, { mode: 0o600 });
    for (const given of ["file", "variable"] as const) {
      const args = [
        "tail",
        "shop.orders",
        "--state",
        dir.join(given),
        ...(given === "file" ? ["--uri-file", dir.join("uri")] : []),
      ];
      await using tail = start(args, given === "variable" ? { env: { MONGOTAP_URI: set.uri } } : {});
      // Empty at first, until the program has replaced the process that started it.
      const cmdline = await waitFor(() => readFile(`/proc/${tail.pid}/cmdline`, "utf8"), { what: "a command line" });
      expect(cmdline).toContain("shop.orders");
      expect(cmdline).not.toContain(CANARY);
      tail.kill("SIGKILL");
      await tail.done;
    }
  });

  test("in a file is read when the file is for its owner alone, else refused", async () => {
    await using dir = await tempDir();
    const args = ["backfill", "shop.orders", "--uri-file", dir.join("uri")];
    await writeFile(dir.join("uri"), set.uri, { mode: 0o600 });
    expect((await run(args)).code).toBe(0);
    await writeFile(dir.join("open"), set.uri, { mode: 0o644 });
    const { code, stderr } = await run([...args.slice(0, -1), dir.join("open")]);
    expect(code).toBe(2);
    expect(stderr).toContain("chmod 600");
    expect((await run([...args.slice(0, -1), dir.join("missing")])).code).toBe(2);
  });
});
