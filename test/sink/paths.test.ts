import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { outputKeyOf, QUARANTINE } from "../../src/lib/output-key.ts";
import { filePathOf } from "../../src/sink/paths.ts";
import type { OutputMark } from "../../src/sink/sink.ts";
import { openDirectory, openFile, put, scratch } from "./sinks.ts";

describe("filePathOf() stays below its directory, whatever the target", () => {
  test.each([
    ["acmeCo/orders", "acmeCo/orders.ndjson"],
    ["orders", "orders.ndjson"],
    ["/acmeCo//orders/", "acmeCo/orders.ndjson"],
    ["../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd.ndjson"],
    ["./x", "%2E/x.ndjson"],
    ["a\\..\\b", "a%5C.%2E%5Cb.ndjson"],
    ["con/aux.txt", "%63on/%61ux.txt.ndjson"],
    [".hidden/x", "%2Ehidden/x.ndjson"],
    ["a b/\u0000", "a%20b/%00.ndjson"],
  ])("%s", (target, path) => {
    expect(filePathOf(target)).toBe(path);
  });

  test("parts that differ in capitals differ where capitals do not count", () => {
    expect(filePathOf("Acme/x", { foldsCase: true })).not.toBe(filePathOf("acme/x", { foldsCase: true }));
  });

  test("long parts are cut, and differ", () => {
    const [a, b] = ["a", "b"].map((end) => filePathOf(`${"x".repeat(300)}${end}/y`));
    expect(a).not.toBe(b);
    expect(a?.split("/")[0]?.length).toBeLessThan(255);
  });
});

const TARGETS = new Map([
  ["shop.orders", "acmeCo/orders"],
  ["shop.users", "acmeCo/deep/users"],
]);

function filesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(path.length + 1))
    .toSorted();
}

describe("a folder with targets", () => {
  test("has the file of each collection under its target, and the others under their names", async () => {
    using dir = scratch();
    const sink = await openDirectory(dir.at("out"), { targets: TARGETS });
    await put(sink, ["shop.orders", "1\n"], ["shop.users", "2\n"], ["shop.other", "3\n"]);
    const marks = await sink.flush();
    await sink.onStateSaved();
    await sink[Symbol.asyncDispose]();
    expect(filesIn(dir.at("out"))).toEqual(["acmeCo/deep/users.ndjson", "acmeCo/orders.ndjson", "shop.other.ndjson"]);
    const again = await openDirectory(dir.at("out"), { targets: TARGETS, marks });
    await put(again, ["shop.users", "4\n"]);
    await again.flush();
    await again[Symbol.asyncDispose]();
    expect(readFileSync(dir.at("out/acmeCo/deep/users.ndjson"), "utf8")).toBe("2\n4\n");
  });

  test("refuses to go on in another file than it began, and leaves everything as it is", async () => {
    using dir = scratch();
    const sink = await openDirectory(dir.at("out"), { targets: TARGETS });
    await put(sink, ["shop.orders", "1\n"]);
    const marks: readonly OutputMark[] = await sink.flush();
    await sink.onStateSaved();
    await sink[Symbol.asyncDispose]();
    const moved = new Map([["shop.orders", "elsewhere/orders"]]);
    const path = dir.at("out/acmeCo/orders.ndjson");
    await expect(openDirectory(dir.at("out"), { targets: moved, marks })).rejects.toThrow(
      `shop.orders is in ${path}, and its target is now ${dir.at("out/elsewhere/orders.ndjson")}; nothing was written`,
    );
    // A collection that is no longer bound is left as it is.
    await (await openDirectory(dir.at("out"), { targets: new Map([["shop.x", "x"]]), marks }))[Symbol.asyncDispose]();
  });

  test("refuses two collections that would share a file", async () => {
    using dir = scratch();
    const twins = new Map([
      ["a.b", "x/y"],
      ["c.d", "x//y"],
    ]);
    await expect(openDirectory(dir.at("out"), { targets: twins })).rejects.toThrow(
      "a.b and c.d would both be written to x/y.ndjson",
    );
    const sink = await openDirectory(dir.at("out"), { targets: new Map([["a.b", "c.d"]]) });
    await expect(put(sink, ["c.d", "1\n"])).rejects.toThrow("a.b and c.d would both be written to c.d.ndjson");
    await sink[Symbol.asyncDispose]();
  });

  test("refuses two collections whose parts would share a file", async () => {
    using dir = scratch();
    const sink = await openDirectory(dir.at("out"), { targets: new Map([["a.b", "c.d"]]) });
    await expect(put(sink, [outputKeyOf("c.d", 2), "1\n"])).rejects.toThrow(
      "a.b and c.d would both be written to c.d.ndjson",
    );
    await sink[Symbol.asyncDispose]();
  });

  test("has the parts of a collection under its target, and goes on with them", async () => {
    using dir = scratch();
    const [first, second] = [outputKeyOf("shop.orders", 0), outputKeyOf("shop.orders", 1)];
    const sink = await openDirectory(dir.at("out"), { targets: TARGETS });
    await put(sink, [first, "1\n"], [second, "2\n"], [outputKeyOf("shop.other", 1), "3\n"]);
    const marks = await sink.flush();
    await sink.onStateSaved();
    await sink[Symbol.asyncDispose]();
    const files = ["acmeCo/orders~0000.ndjson", "acmeCo/orders~0001.ndjson", "shop.other~0001.ndjson"];
    expect(filesIn(dir.at("out"))).toEqual(files);
    const again = await openDirectory(dir.at("out"), { targets: TARGETS, marks });
    await put(again, [second, "4\n"]);
    await again.flush();
    await again[Symbol.asyncDispose]();
    expect(readFileSync(dir.at("out/acmeCo/orders~0001.ndjson"), "utf8")).toBe("2\n4\n");
    const moved = new Map([["shop.orders", "elsewhere"]]);
    await expect(openDirectory(dir.at("out"), { targets: moved, marks })).rejects.toThrow("its target is now");
  });

  test("says what is in the way", async () => {
    using dir = scratch();
    mkdirSync(dir.at("out/acmeCo/orders.ndjson"), { recursive: true });
    const sink = await openDirectory(dir.at("out"), { targets: TARGETS });
    await expect(put(sink, ["shop.orders", "1\n"])).rejects.toThrow("exists and is not a regular file");
    await sink[Symbol.asyncDispose]();
  });

  test("goes on where the state has a mark for a file that is of no collection", async () => {
    using dir = scratch();
    const path = dir.at("out/bad.ndjson");
    mkdirSync(dir.at("out"));
    const target = { kind: "file", path, key: QUARANTINE } as const;
    const quarantine = await openFile(path, { target });
    await put(quarantine, [QUARANTINE, "?\n"]);
    const marks = await quarantine.flush();
    await quarantine.onStateSaved();
    await quarantine[Symbol.asyncDispose]();
    const sink = await openDirectory(dir.at("out"), { targets: TARGETS, marks });
    await put(sink, ["shop.orders", "1\n"]);
    expect((await sink.flush()).map(({ key }) => key)).toEqual([QUARANTINE, outputKeyOf("shop.orders")]);
    await sink[Symbol.asyncDispose]();
  });
});

describe("a complete backfill refuses files of other partitions of its collections", () => {
  test.each([
    ["x.y~0000.ndjson", false],
    ["x.y~0001.ndjson", false],
    ["x.y~0002.ndjson", true],
    ["x.y~12345.ndjson", true],
    ["x.y.ndjson", true],
    ["x.z~0002.ndjson", false],
    ["x.y~00.ndjson", false],
    ["x.y~u8.ndjson", false],
    ["x.y~0002.ndjson.partial", false],
  ])("%s: %p", async (name, isRefused) => {
    using dir = scratch();
    writeFileSync(dir.at(name), "");
    const outputs = [0, 1].map((partition) => outputKeyOf("x.y", partition));
    const opening = openDirectory(dir.path, { outputs, isComplete: true, finalizes: true });
    if (isRefused) await expect(opening).rejects.toThrow(`${dir.at(name)} is of an earlier backfill`);
    else await (await opening)[Symbol.asyncDispose]();
    if (isRefused) expect(filesIn(dir.path)).toEqual([name]);
  });

  test("and leaves them alone where another shard may write them", async () => {
    using dir = scratch();
    writeFileSync(dir.at("x.y~0002.ndjson"), "1\n");
    await using _sink = await openDirectory(dir.path, { outputs: [outputKeyOf("x.y", 0)], finalizes: true });
  });
});
