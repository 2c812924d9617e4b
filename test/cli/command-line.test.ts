import { describe, expect, test } from "bun:test";
import { errorOf } from "./in-process.ts";

/** Command lines that are refused before any server is asked, and what is said of them. */
const REFUSED: readonly (readonly [says: string, ...args: string[]])[] = [
  ["Did you mean backfill?", "backfil"],
  ["Did you mean capture?", "captur", "a.b"],
  ["Commands: discover, backfill, tail, capture", "frobnicate"],
  ["Did you mean tail?", "help", "tial"],
  ["Did you mean --until?", "tail", "a.b", "--unti", "caught-up"],
  ["Did you mean --envelope?", "tail", "a.b", "--envelop=raw"],
  ["mongotap discover --help", "discover", "--zzzzzzzzzz"],
  ["discover has no option --out", "discover", "--out", "x"],
  ["backfill has no option --until", "backfill", "a.b", "--until", "caught-up"],
  ["the command comes first", "--uri", "mongodb://localhost", "tail"],
  ["--out is given twice", "backfill", "a.b", "--out", "x", "--out", "y"],
  ["--state takes a value: FILE", "backfill", "a.b", "--state"],
  ["--out takes a value", "backfill", "a.b", "--out", "--state", "x"],
  ["backfill needs to know what to read", "backfill"],
  ["Example: mongotap tail shop.orders", "tail", "--until", "caught-up"],
  ["--limit takes a whole number of at least 1", "backfill", "a.b", "--limit", "0"],
  ["--limit takes a whole number of at least 1", "backfill", "a.b", "--limit", "1e3"],
  ["--for takes a duration such as", "tail", "a.b", "--for", "10"],
  ["--format takes one of relaxed, canonical, plain", "tail", "a.b", "--format", "json"],
  ["--envelope takes one of none, meta, change", "tail", "a.b", "--envelope", "airbyte"],
  ["--until takes one of caught-up", "tail", "a.b", "--until", "now"],
  ["--start-at takes now, an ISO date", "tail", "a.b", "--start-at", "yesterday"],
  ["--start-at takes now, an ISO date", "tail", "a.b", "--start-at", "2026-02-30T99:00:00Z"],
  ["--as takes one of table, json", "discover", "--as", "yaml"],
  ["--fresh takes true or false", "backfill", "a.b", "--fresh=maybe"],
  ['not "y"; --limit takes a whole number of at least 1, not "x"', "tail", "a.b", "--format", "y", "--limit", "x"],
  ['"" is not a namespace', "tail", ""],
  ['".orders" is not a namespace', "tail", ".orders"],
  ['"shop." is not a namespace', "tail", "shop."],
  ["the database admin belongs to the server", "backfill", "admin.system.users"],
  ["the database local belongs to the server", "tail", "local"],
  ["system collections belong to the server", "tail", "shop.system.views"],
  ["is not a namespace: a database name holds none of", "tail", "sh op.orders"],
];

describe("a command line that cannot be right ends with 2, before any server is asked", () => {
  test.each(REFUSED)("%s", async (says, ...argv) => {
    const { message, hint, exitCode } = await errorOf(argv);
    expect(exitCode).toBe(2);
    expect(`${message}\n${hint}`).toContain(says);
  });

  test("an invalid variable is a problem of the kind config, and its message has the name of the variable", async () => {
    const { message, kind } = await errorOf(["tail", "a.b"], { MONGOTAP_LIMIT: "many" });
    expect(kind).toBe("config");
    expect(message).toBe('MONGOTAP_LIMIT takes a whole number of at least 1, not "many"');
  });

  test("an empty variable is no value", async () => {
    expect((await errorOf(["tail", "a.b"], { MONGOTAP_LIMIT: "" })).kind).toBe("connect");
  });

  test("a flag wins over its variable", async () => {
    expect((await errorOf(["tail", "a.b", "--limit", "3"], { MONGOTAP_LIMIT: "many" })).kind).toBe("connect");
  });

  test("a variable for an option that the command does not have is left alone", async () => {
    expect((await errorOf(["discover"], { MONGOTAP_LIMIT: "many" })).kind).toBe("connect");
  });

  test("a connection string is never quoted, however wrong it is", async () => {
    for (const uri of [
      "postgres://u:hush@h",
      "mongodb://u:hu@sh@h",
      "mongodb://u:hush%zz@h",
      "mongodb://u:hush@",
      "mongodb://u:hush@h:0",
    ]) {
      const { message, hint, kind, stack } = await errorOf(["tail", "a.b", "--uri", uri]);
      expect(kind).toBe("config");
      expect(`${message}${hint}${stack}`).not.toMatch(/hush|hu@sh/);
    }
  });
});
