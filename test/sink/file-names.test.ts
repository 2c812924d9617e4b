import { expect, test } from "bun:test";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { fileNameOf, partitionPathOf } from "../../src/sink/paths.ts";

const HOSTILE = [
  "../../etc/x",
  "a/b",
  "a\\b",
  ".",
  "..",
  "con",
  "con.x",
  "CON.x",
  "lpt1.x.y",
  "é.x".normalize("NFC"),
  "é.x".normalize("NFD"),
  "app.Users",
  "app.users",
  "app.USERS",
  "app.\ud800",
  "app.\ud801",
  "app.\udc00",
  "app.\ufffd",
  "app.\n",
  "app.\u001b[2J",
  "app.\0",
  "app.",
  "app..",
  "app...",
  "app.a..b",
  "app.a.b",
  ".app.a",
  "app.%41",
  "app.A",
  "app.a~b",
  "app.a b",
  "app.😀",
  "app.$cmd",
  "app.x.ndjson",
  "app.x.ndjson.partial",
  "app.x",
  `app.${"x".repeat(251)}`,
  `app.${"x".repeat(250)}y`,
  `app.${"😀".repeat(62)}`,
  `app.${"😀".repeat(61)}é`,
  `app.${"/".repeat(100)}`,
  `app.${"X".repeat(60)}${"/".repeat(100)}`,
  `app.${"x".repeat(60)}${"/".repeat(100)}`,
];

test("fileNameOf() keeps the names that most collections have", () => {
  expect(fileNameOf("shop.orders")).toBe("shop.orders.ndjson");
  expect(fileNameOf("shop.orderItems")).toBe("shop.orderItems.ndjson");
  expect(fileNameOf("my-shop_1.system.views")).toBe("my-shop_1.system.views.ndjson");
});

test("fileNameOf() encodes as a URL does, in ASCII", () => {
  expect(fileNameOf("shop.größe 1")).toBe("shop.gr%C3%B6%C3%9Fe%201.ndjson");
  expect(fileNameOf("../../etc/x")).toBe("%2E%2E%2F.%2E%2Fetc%2Fx.ndjson");
  expect(fileNameOf("con.x")).toBe("%63on.x.ndjson");
});

test("fileNameOf() marks capitals only where the directory does not tell them apart", () => {
  expect(fileNameOf("app.Users", { foldsCase: true })).toBe("app.Users~u8.ndjson");
  expect(fileNameOf("app.users", { foldsCase: true })).toBe("app.users.ndjson");
});

for (const foldsCase of [false, true]) {
  const options = { foldsCase };
  const seen = (name: string): string => (foldsCase ? name.toLowerCase() : name);

  test(`fileNameOf() gives every hostile name a file of its own inside the directory (foldsCase ${foldsCase})`, () => {
    const names = HOSTILE.map((namespace) => fileNameOf(namespace, options));
    expect(new Set(names.map(seen)).size).toBe(HOSTILE.length);
    for (const name of names) {
      expect(name).toMatch(/^[A-Za-z0-9_%~-][A-Za-z0-9_%~.-]*\.ndjson$/);
      expect(`${name}.partial`.length).toBeLessThan(256);
      expect(resolve("/out", name)).toBe(join("/out", name));
      expect(name.split(".")[0]).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)$/i);
    }
  });

  const name = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.string({ unit: fc.constantFrom("a", "A", ".", "%", "~", "u", "8", "/", "é", "\ud800"), maxLength: 8 }),
  );

  test(`fileNameOf() never gives two names one file (foldsCase ${foldsCase})`, () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(seen(fileNameOf(a, options)) === seen(fileNameOf(b, options))).toBe(a === b);
      }),
      { numRuns: 1000 },
    );
  });

  test(`no collection has the name of a part, and no two parts share one (foldsCase ${foldsCase})`, () => {
    const hostile = HOSTILE.flatMap((text) => [
      text,
      ...["~", ".", "-", "_", "%7E", "~u1~"].flatMap((sign) => [`${text}${sign}0003`, `${text}${sign}0003.ndjson`]),
    ]);
    const partsOf = (text: string): string[] => {
      const whole = fileNameOf(text, options);
      return [whole, ...[0, 3, 30, 9_999, 30_003].map((part) => partitionPathOf(whole, part))].map(seen);
    };
    const names = hostile.flatMap(partsOf);
    expect(new Set(names).size).toBe(names.length);
    for (const part of names) expect(`${part}.partial`.length).toBeLessThan(256);
    fc.assert(
      fc.property(name, name, fc.nat(99_999), (a, b, part) => {
        expect(seen(fileNameOf(b, options))).not.toBe(seen(partitionPathOf(fileNameOf(a, options), part)));
        if (a !== b) expect(partsOf(a).filter((path) => partsOf(b).includes(path))).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
}

test("partPathOf() numbers the file, in a folder as well, so that a listing has them in order", () => {
  expect(partitionPathOf("shop.orders.ndjson", 3)).toBe("shop.orders~0003.ndjson");
  expect(partitionPathOf("acmeCo/x.ndjson/y.ndjson", 12_345)).toBe("acmeCo/x.ndjson/y~12345.ndjson");
});
