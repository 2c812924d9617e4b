/** `mongotap discover` from outside: what it samples, its formats, and its errors. */

import { beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { linesIn, linesOf, type Tap, tapAt } from "../cli/tap.ts";
import { CANARY } from "../support/cli.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { checkFor } from "./validator.ts";

let database: TestDatabase;
let tap: Tap;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
  const { db } = database;
  await db.collection("orders").insertMany([...documents("typical", 2_000)]);
  await db.collection("users").insertMany([
    { name: "Jane Doe", mail: "jane@example.com", login: CANARY },
    { name: "Zoë", mail: null },
  ]);
  await db.createCollection("empty");
  await db.createCollection("paid", { viewOn: "orders", pipeline: [{ $match: { state: "paid" } }] });
  await db.createCollection("broken", { viewOn: "orders", pipeline: [{ $project: { x: { $divide: [1, 0] } } }] });
});

interface Printed {
  readonly collections: readonly {
    readonly collection: string;
    readonly failure: string | null;
    readonly sample: { readonly documents: number; readonly how: string } | null;
    readonly fields: readonly { readonly path: string; readonly examples?: readonly string[] }[] | null;
  }[];
}

async function printed(...args: readonly string[]): Promise<Printed["collections"]> {
  const { stdout } = await tap.expect(0, ["discover", ...args, "--as", "json"], { allowCanary: true });
  return (JSON.parse(stdout) as Printed).collections;
}

describe("sampling", () => {
  test("a plain list has no fields: they are shown for named collections, and with --sample", async () => {
    const { name } = database;
    const list = await tap.expect(0, ["discover", name]);
    expect(list.stdout).not.toContain("FIELD");
    const named = await tap.expect(0, ["discover", `${name}.orders`, `${name}.users`]);
    expect(named.stdout).toContain(`${name}.orders: 1,000 of 2,000 documents, at random\nFIELD `);
    expect(named.stdout).toContain(`${name}.users: all 2 documents\nFIELD `);
    expect(named.stdout).toMatch(/^lines\[\]\.sku +100 % +string$/m);
    expect(named.stdout).toMatch(/^mail +100 % +null 50 %, string 50 %$/m);
    const asked = await tap.expect(0, ["discover", name, "--sample", "1"]);
    expect(asked.stdout).toMatch(new RegExp(`^${name}\\.users: 1 of 2 documents, (at random|the first ones)$`, "m"));
    const none = await tap.expect(0, ["discover", `${name}.orders`, "--sample", "0"]);
    expect(none.stdout).not.toContain("FIELD");
  });

  test("--sample is the number of documents, 1000 by default", async () => {
    const { name } = database;
    const counts = async (...args: readonly string[]): Promise<unknown> =>
      Object.fromEntries((await printed(name, ...args)).map((row) => [row.collection, row.sample?.documents ?? null]));
    expect(await counts()).toEqual({ broken: null, empty: 0, orders: 1000, paid: expect.any(Number), users: 2 });
    expect(await counts("--sample", "7")).toEqual({ broken: null, empty: 0, orders: 7, paid: 7, users: 2 });
    expect(await counts("--sample", "0")).toEqual({ broken: null, empty: null, orders: null, paid: null, users: null });
  });

  test("an unreadable collection is reported and the others are shown; if it was named, the run fails", async () => {
    const { name } = database;
    const { stdout, stderr } = await tap.expect(0, ["discover", name, "--as", "json"], { allowCanary: true });
    const { collections } = JSON.parse(stdout) as Printed;
    const broken = collections.find(({ collection }) => collection === "broken");
    expect(broken).toMatchObject({ fields: null, failure: expect.stringContaining(`cannot read ${name}.broken: `) });
    expect(stderr).toMatch(new RegExp(`^mongotap: cannot read ${name}\\.broken: .+: its fields are not known\n$`));
    const named = await tap.run(["discover", `${name}.broken`]);
    expect(named.code).not.toBe(0);
    expect(named.stdout).toBe("");
  });

  test("a name that matches nothing is reported, and the others are shown", async () => {
    const { name } = database;
    const { stdout, stderr } = await tap.expect(0, ["discover", `${name}.orders`, `${name}.ordres`, "--sample", "0"]);
    expect(stdout).toContain("1 collection\n");
    expect(stderr).toBe(`mongotap: ${name}.ordres: nothing found\n`);
  });
});

test("a signal ends it in the middle of a sample, with no output", async () => {
  const { db, name } = await testDatabase();
  await db.collection("orders").insertMany([...documents("small", 2_000)]);
  const slow = { $function: { body: "function() { sleep(50); return true; }", args: [], lang: "js" } };
  await db.createCollection("slow", { viewOn: "orders", pipeline: [{ $match: { $expr: slow } }] });
  await using cli = tap.start(["discover", `${name}.slow`, "--sample-time", "60s"]);
  const isReading = async (): Promise<boolean> => {
    const { inprog } = await db
      .admin()
      .command({ currentOp: 1, "command.aggregate": { $exists: true }, appName: "mongotap" });
    return (inprog as unknown[]).length > 0;
  };
  await waitFor(isReading, { what: "the sample to be read" });
  const startedAt = performance.now();
  cli.kill("SIGTERM");
  const { code, stdout, stderr } = await cli.done;
  expect({ code, stdout, stderr }).toEqual({ code: 143, stdout: "", stderr: "" });
  expect(performance.now() - startedAt).toBeLessThan(20_000);
});

describe("values of documents", () => {
  const forms = ["table", "json", "jsonschema", "flow", "airbyte", "singer", "html"];
  test.each(forms)("are not in --as %s by default", async (form) => {
    const { stdout } = await tap.expect(0, ["discover", `${database.name}.users`, "--as", form]);
    expect(stdout).not.toMatch(/Jane|Zoë|example\.com"/);
    expect(stdout).toContain("mail");
  });

  test("are shown with --examples shown, and masked with --examples masked", async () => {
    const { name } = database;
    const examplesOf = async (choice: string): Promise<unknown> => {
      const [users] = await printed(`${name}.users`, "--examples", choice);
      return users?.fields?.find(({ path }) => path === "name")?.examples?.toSorted();
    };
    expect(await examplesOf("shown")).toEqual(["Jane Doe", "Zoë"]);
    expect(await examplesOf("masked")).toEqual(["Xxx", "Xxxx Xxx"]);
    expect(await examplesOf("none")).toBeUndefined();
  });
});

describe("--as", () => {
  test.each(["relaxed", "canonical", "plain"])(
    "jsonschema --format %s describes what backfill prints",
    async (format) => {
      const ns = `${database.name}.orders`;
      const { stdout } = await tap.expect(0, [
        "discover",
        ns,
        "--as",
        "jsonschema",
        "--format",
        format,
        "--sample",
        "2000",
      ]);
      const check = checkFor(JSON.parse(stdout) as object);
      const lines = linesOf((await tap.expect(0, ["backfill", ns, "--format", format])).stdout);
      expect(lines.length).toBe(2_000);
      for (const line of lines) expect(check(line)).toEqual([]);
      expect(check({ ...lines[0], total: true })).not.toEqual([]);
    },
  );

  test("flow is a catalog that capture --config runs unchanged", async () => {
    await using dir = await tempDir();
    const { name } = database;
    const { stdout, stderr } = await tap.expect(0, ["discover", name, "--exclude", `${name}.broken`, "--as", "flow"]);
    expect(stderr).toBe(`mongotap: ${name}.paid is left out: a view has no changes of its own\n`);
    const file = dir.join("flow.yaml");
    await writeFile(file, stdout);
    // The server is that of the catalog: no variable names it.
    const env = { MONGOTAP_URI: undefined };
    const out = `${dir.join("out")}/`;
    await tap.expect(0, ["capture", "--config", file, "--out", out, "--until", "caught-up", "--format", "plain"], {
      env,
    });
    const lines = await linesIn(`${out}${name}/orders.ndjson`);
    expect(lines.length).toBe(2_000);
  });

  test.each(["check", "status"])("%s rejects the formats of discover", async (command) => {
    const { code, stderr } = await tap.run([command, "--as", "html"]);
    expect(code).toBe(2);
    expect(stderr).toBe(`mongotap: ${command} does not print as html\n  It takes table or json.\n`);
  });

  test("html is one page with the requested namespaces", async () => {
    const { stdout } = await tap.expect(0, ["discover", `${database.name}.orders`, "--as", "html"]);
    expect(stdout).toStartWith("<!doctype html>\n");
    expect(stdout).toEndWith("</html>\n");
    expect(stdout).toContain(`<title>${database.name}.orders · mongotap</title>`);
  });
});
