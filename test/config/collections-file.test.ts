import { describe, expect, test } from "bun:test";
import { type Config, configOf } from "./configs.ts";

async function namespacesIn(csv: string | Uint8Array): Promise<readonly string[]> {
  await using config = await withCsv(csv);
  return (await config.resolve()).namespaces;
}

async function problemsIn(csv: string): Promise<string[]> {
  await using config = await withCsv(csv);
  return (await config.refused()).message.split("; ").map((problem) => problem.replaceAll(`${config.dir.path}/`, ""));
}

async function withCsv(csv: string | Uint8Array): Promise<Config> {
  const config = await configOf("collectionsFile: list.csv");
  const { writeFile } = await import("node:fs/promises");
  await writeFile(config.dir.join("list.csv"), csv);
  return config;
}

describe("a collections file", () => {
  test.each([
    [
      "one column, two columns, a whole database",
      "shop.orders\nshop,users\nother\n",
      ["shop.orders", "shop.users", "other"],
    ],
    ["dots in collections", "shop.a.b\nshop,c.d\n", ["shop.a.b", "shop.c.d"]],
    ["quotes, with commas and quotes inside", '"shop.a,b"\n"shop","c,""d"""\n', ["shop.a,b", 'shop.c,"d"']],
    [
      "CRLF, a byte order mark, blank lines, no line end at the end",
      "\uFEFFshop.a\r\n\r\n  \r\nshop.b",
      ["shop.a", "shop.b"],
    ],
    ["old line ends", "shop.a\rshop.b\r", ["shop.a", "shop.b"]],
    ["spaces around, and rows of nothing but commas", " shop.a \n,\n shop , b \n", ["shop.a", "shop.b"]],
    ["duplicates, in either form", "shop.a\nshop,a\nshop.a\n", ["shop.a"]],
    ["a star", "shop.*\nshop2,*\n", ["shop.*", "shop2.*"]],
  ])("%s", async (_, csv, expected) => {
    expect(await namespacesIn(csv)).toEqual(expected);
  });

  test("reports each invalid row with its line", async () => {
    expect(await problemsIn("shop.a\nadmin.x\na,b,c\n\nshop,\n,x\nsho p.x\na.b,c\nshop.\n")).toEqual([
      'list.csv:2: "admin.x" is not a namespace: the database admin belongs to the server',
      "list.csv:3: has 3 columns: write db.collection, db,collection or db",
      "list.csv:5: has an empty column: write db.collection, db,collection or db",
      "list.csv:6: has an empty column: write db.collection, db,collection or db",
      expect.stringContaining('list.csv:7: "sho p.x" is not a namespace'),
      'list.csv:8: has two columns, and the database "a.b" holds a dot',
      'list.csv:9: "shop." is not a namespace: write db.collection, db.* or db',
    ] as never);
  });

  test("reports a quote that is not closed, and one in the middle", async () => {
    const problems = await problemsIn('shop.a\nsho"p.b\nadmin.c\n');
    expect(problems).toEqual([
      expect.stringMatching(/^list.csv:2: a quote is not closed/),
      expect.stringContaining("list.csv:3: "),
    ] as never);
    expect((await problemsIn('shop.a\n"shop.b\n')).join()).toContain("a quote is not closed");
  });

  test("that names nothing is a problem, and so is one that is not UTF-8", async () => {
    expect((await problemsIn("\n\n")).join()).toContain("names no collection");
    await using config = await withCsv(Uint8Array.from([0x61, 0xff, 0x62]));
    expect((await config.refused()).message).toContain("cannot be read: not UTF-8");
  });

  test("that is not there", async () => {
    await using config = await configOf("namespaces: [a]");
    const error = await config.refused({ flags: { "collections-file": "/nowhere/list.csv" } });
    expect(error.message).toBe(
      "--collections-file /nowhere/list.csv cannot be read: the file or its directory does not exist",
    );
  });
});
