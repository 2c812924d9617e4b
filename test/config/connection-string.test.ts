import { describe, expect, test } from "bun:test";
import { effectiveOptions, parseConnectionString } from "../../src/connect/connection-string.ts";
import { MongoClient } from "mongodb";

const BOTH = "w=majority&readPreference=primaryPreferred";

describe("parseConnectionString() adds what is missing, and overrides nothing", () => {
  test.each([
    ["mongodb://h", `mongodb://h/?${BOTH}`],
    ["mongodb://h/", `mongodb://h/?${BOTH}`],
    ["mongodb://h/db", `mongodb://h/db?${BOTH}`],
    ["mongodb://h/?", `mongodb://h/?${BOTH}`],
    ["mongodb://h/?replicaSet=rs", `mongodb://h/?replicaSet=rs&${BOTH}`],
    ["mongodb://h/?replicaSet=rs&", `mongodb://h/?replicaSet=rs&${BOTH}`],
    ["mongodb+srv://c.example.net", `mongodb+srv://c.example.net/?${BOTH}`],
    ["mongodb://u:p%40@a:1,b:2/db?w=1", "mongodb://u:p%40@a:1,b:2/db?w=1&readPreference=primaryPreferred"],
    ["mongodb://h/?W=2", "mongodb://h/?W=2&readPreference=primaryPreferred"],
    ["mongodb://h/?readpreference=secondary", "mongodb://h/?readpreference=secondary&w=majority"],
    ["mongodb://h/?readPreference=nearest&w=0", "mongodb://h/?readPreference=nearest&w=0"],
    ["mongodb://h/?readPreferenceTags=dc:ny", `mongodb://h/?readPreferenceTags=dc:ny&${BOTH}`],
  ])("%s", (given, expected) => {
    expect(parseConnectionString(given, "--uri").uri).toBe(expected);
  });

  test("the driver takes the result, and has the options", () => {
    for (const given of ["mongodb://h", "mongodb://h/db?readPreferenceTags=dc:ny&maxStalenessSeconds=120"]) {
      const client = new MongoClient(parseConnectionString(given, "--uri").uri);
      expect(client.options.readPreference.mode).toBe("primaryPreferred");
      expect(client.options.writeConcern?.w).toBe("majority");
    }
  });

  test("what is shown is what was given, without the login", () => {
    const { shown, added } = parseConnectionString("mongodb://u:p@h/?tls=true", "--uri");
    expect(shown).toBe("mongodb://h/?tls=true");
    expect(added).toEqual(["w=majority", "readPreference=primaryPreferred"]);
  });
});

describe("compressors given beside the string", () => {
  const compressors = { text: "zstd,zlib", from: "--compressors" };

  test("are added to it, and the driver takes them in their order", () => {
    const parsed = parseConnectionString("mongodb://h", "--uri", { compressors });
    expect(effectiveOptions(parsed)).toContain("compressors=zstd,zlib");
    expect(new MongoClient(parsed.uri).options.compressors).toEqual(["zstd", "zlib"]);
  });

  test.each(["compressors=zstd,zlib", "Compressors=zstd%2Czlib"])("may be those of the string: %s", (same) => {
    const { uri } = parseConnectionString(`mongodb://h/?${same}`, "--uri", { compressors });
    expect(uri).toBe(`mongodb://h/?${same}&${BOTH}`);
  });

  test.each(["zlib", "zlib,zstd", ""])("must not be others than those of the string: %p", (other) => {
    const parse = (): unknown =>
      parseConnectionString(`mongodb://h/?compressors=${other}`, "MONGOTAP_URI", { compressors });
    expect(parse).toThrow(`MONGOTAP_URI says compressors=${other}, and --compressors says zstd,zlib`);
    expect(parse).toThrow(expect.objectContaining({ kind: "config" }));
  });
});

test("snappy needs a native package, as the message says; zstd and zlib do not", () => {
  for (const given of ["zlib", "zstd", "zstd,zlib"])
    parseConnectionString(`mongodb://h/?compressors=${given}`, "--uri");
  for (const given of ["snappy", "zstd,snappy"]) {
    const parse = (): unknown => parseConnectionString(`mongodb://h/?compressors=${given}`, "--uri");
    expect(parse).toThrow("--uri: this build has no snappy compression");
    expect(parse).toThrow(expect.objectContaining({ kind: "unsupported", hint: expect.stringContaining("Take zstd") }));
  }
});

test("effectiveOptions() lists all options in effect, and masks secrets", () => {
  const parsed = parseConnectionString(
    "mongodb://u:p%3F@h/?tls=true&proxyHost=x&proxyPassword=hush&replicaSet=rs",
    "--uri",
  );
  expect(effectiveOptions(parsed)).toEqual([
    "tls=true",
    "proxyHost=x",
    "proxyPassword=***",
    "replicaSet=rs",
    "w=majority",
    "readPreference=primaryPreferred",
  ]);
});

describe("a login given beside the string is encoded", () => {
  test.each([
    ["user", "pa:ss", "user:pa%3Ass"],
    ["a@b/c", "100%?#[]", "a%40b%2Fc:100%25%3F%23%5B%5D"],
    ["ü", "\u{1f600} ", "%C3%BC:%F0%9F%98%80%20"],
    ["$ext", "a'b\"c", "%24ext:a'b%22c"],
  ])("%s / %s", (user, password, expected) => {
    const from = "--user";
    const parsed = parseConnectionString("mongodb://h", "--uri", {
      user: { text: user, from },
      password: { text: password, from },
    });
    expect(parsed.uri).toBe(`mongodb://${expected}@h/?${BOTH}`);
    expect(new MongoClient(parsed.uri).options.credentials).toMatchObject({ username: user, password });
    expect(parsed.secrets).toEqual(expect.arrayContaining([password, encodeURIComponent(password)]));
    expect(parsed.shown).toBe("mongodb://h");
  });

  test("a user alone, as certificates want it", () => {
    const user = { text: "CN=me", from: "--user" };
    const { uri } = parseConnectionString("mongodb://h/?authMechanism=MONGODB-X509&tls=true", "--uri", { user });
    expect(uri).toStartWith("mongodb://CN%3Dme@h/?authMechanism");
  });
});
