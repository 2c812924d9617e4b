import { describe, expect, test } from "bun:test";
import { connectionStringOf } from "../../src/config/server.ts";
import { CANARY } from "../support/cli.ts";
import { configOf } from "./configs.ts";

describe("a setting is taken from the flag, else the variable, else the config file, else its default", () => {
  const text = "format: canonical\nlimit: 5\nlogLevel: debug\nnamespaces: [shop.orders]\n";

  test("each level wins over the next", async () => {
    await using config = await configOf(text);
    const env = { MONGOTAP_LIMIT: "6", MONGOTAP_FORMAT: "plain" };
    const flags = { format: "relaxed" };
    expect((await config.resolve({ env, flags })).settings).toMatchObject({
      format: "relaxed",
      limit: 6,
      logLevel: "debug",
    });
    expect((await config.resolve({ env })).settings).toMatchObject({ format: "plain", limit: 6, logLevel: "debug" });
    expect((await config.resolve()).settings).toMatchObject({ format: "canonical", limit: 5, retryFor: 300_000 });
  });

  test("the settings are frozen, lists too", async () => {
    await using config = await configOf(`${text}exclude: [shop.a]\n`);
    const { settings } = await config.resolve();
    expect(Object.isFrozen(settings)).toBe(true);
    expect(Object.isFrozen(settings.exclude)).toBe(true);
  });

  test("every type of value: switches, numbers, durations, lists", async () => {
    await using config = await configOf(
      "fresh: true\nstrict: false\nlimit: 10\nfor: 1.5h\nstartAt: 2026-01-31T12:00:00Z\nexclude: shop.logs\nnamespaces: [shop]",
    );
    expect((await config.resolve({ command: "tail" })).settings).toMatchObject({
      fresh: true,
      strict: false,
      limit: 10,
      for: 5_400_000,
      startAt: { kind: "time", seconds: 1_769_860_800 },
      exclude: ["shop.logs"],
    });
  });

  test("an empty key and an empty variable are no value", async () => {
    await using config = await configOf('limit:\nformat: ""\nnamespaces: [shop]');
    expect((await config.resolve({ env: { MONGOTAP_OUT: "" } })).settings).toMatchObject({
      format: "relaxed",
      out: "-",
    });
    expect((await config.resolve()).settings.limit).toBeUndefined();
  });

  test("--exclude may be repeated; the variable takes commas; only the highest level counts", async () => {
    await using config = await configOf("exclude: [shop.c]\nnamespaces: [shop]");
    expect((await config.resolve({ flags: { exclude: ["shop.a", "shop.b"] } })).settings.exclude).toEqual([
      "shop.a",
      "shop.b",
    ]);
    expect((await config.resolve({ env: { MONGOTAP_EXCLUDE: "shop.a, shop.b" } })).settings.exclude).toEqual([
      "shop.a",
      "shop.b",
    ]);
    expect((await config.resolve()).settings.exclude).toEqual(["shop.c"]);
  });

  test("paths in a config file are relative to its folder; typed ones are not", async () => {
    await using config = await configOf(
      "out: export/\nstate: ../x.state\nonBadDocument: quarantine=bad.ndjson\nnamespaces: [a]",
    );
    const { settings } = await config.resolve();
    expect(settings.out).toBe(`${config.dir.path}/export/`);
    expect(settings.state).toBe(`${config.dir.path.replace(/\/[^/]*$/, "")}/x.state`);
    expect(settings.onBadDocument).toEqual({ policy: "quarantine", file: config.dir.join("bad.ndjson") });
    expect((await config.resolve({ flags: { out: "here/" } })).settings.out).toBe("here/");
    await using dash = await configOf("out: '-'\nstate: /abs/x\nnamespaces: [a]");
    expect((await dash.resolve()).settings).toMatchObject({ out: "-", state: "/abs/x" });
  });
});

describe("compressors", () => {
  const text = "compressors: zlib\nnamespaces: [shop]\nuri: mongodb://h\n";

  async function uriWith(
    given: { env?: Record<string, string>; flags?: Record<string, string> },
    yaml = text,
  ): Promise<string> {
    await using config = await configOf(yaml);
    return (await connectionStringOf((await config.resolve(given)).settings)).uri;
  }

  test("are of the highest level, and part of the connection string", async () => {
    const env = { MONGOTAP_COMPRESSORS: "zstd" };
    expect(await uriWith({})).toEndWith("&compressors=zlib");
    expect(await uriWith({ env })).toEndWith("&compressors=zstd");
    expect(await uriWith({ env, flags: { compressors: "zlib,zstd" } })).toEndWith("&compressors=zlib,zstd");
    expect(await uriWith({}, "namespaces: [shop]\nuri: mongodb://h\n")).not.toContain("compressors");
  });

  test("that contradict the connection string are one problem, with the locations of both", async () => {
    await using config = await configOf(text);
    const env = { MONGOTAP_URI: "mongodb://h/?compressors=zstd" };
    const { kind, message } = await config.refused({ env });
    expect([kind, message]).toEqual([
      "config",
      `MONGOTAP_URI says compressors=zstd, and ${config.path}:1: compressors says zlib`,
    ]);
  });

  test.each(["snappy", "zstd,zstd", "zstd zlib", "none"])("cannot be %p", async (wrong) => {
    await using config = await configOf(text);
    const { kind, message } = await config.refused({ flags: { compressors: wrong } });
    expect(kind).toBe("usage");
    expect(message).toBe(`--compressors takes zstd, zlib, or both with a comma between, not "${wrong}"`);
  });
});

describe("problems are reported together, each with its name and location", () => {
  test("several in one file, a variable and a flag", async () => {
    await using config = await configOf(
      "formt: relaxed\nlimit: many\nuser: [a]\nadvanced:\n  disablePreImage: true\nbindings:\n  - resource: {database: shop}\n",
    );
    const error = await config.refused({ env: { MONGOTAP_FOR: "soon" }, flags: { envelope: "x" } });
    const at = config.path;
    expect(error.kind).toBe("config");
    expect(error.message.split("; ")).toEqual([
      `${at}:1: formt is not a setting (Did you mean format?)`,
      `${at}:3: user takes one value, not a list`,
      `${at}:5: advanced.disablePreImage is not a key of \`advanced\` (Did you mean disablePreImages?)`,
      `${at}:7: bindings[0].resource takes a collection`,
      expect.stringContaining("--envelope takes one of none"),
      expect.stringContaining("MONGOTAP_FOR takes a duration"),
      `${at}:2: limit takes a whole number of at least 1, not "many"`,
    ] as never);
  });

  test("one alone has its own hint", async () => {
    await using config = await configOf("passwrd: x");
    const { message, hint } = await config.refused();
    expect(message).toBe(`${config.path}:1: passwrd is not a setting`);
    expect(hint).toBe("Did you mean password?");
  });

  test("a value for an option that the command does not have must be right all the same", async () => {
    await using config = await configOf("startAt: whenever\nnamespaces: [shop.a]");
    expect((await config.refused({ command: "backfill" })).message).toContain(":1: startAt takes now, an ISO date");
  });

  test("a wrong namespace", async () => {
    await using config = await configOf("namespaces:\n  - shop.orders\n  - admin\n");
    expect((await config.refused()).message).toStartWith(`${config.path}:3: namespaces[1] takes a namespace`);
  });

  test("problems of flags only are of the kind usage", async () => {
    await using config = await configOf("namespaces: [shop]");
    expect((await config.refused({ flags: { limit: "0" } })).kind).toBe("usage");
  });

  test("config and capture cannot stand in the file, as settings", async () => {
    await using config = await configOf("capture: x");
    expect((await config.refused()).hint).toContain("captures");
  });

  test("a file that cannot be read", async () => {
    await using config = await configOf("a: 1");
    const gone = await config.refused({ flags: { config: config.dir.join("gone.yaml") } });
    expect(gone.message).toBe(
      `--config ${config.dir.join("gone.yaml")} cannot be read: the file or its directory does not exist`,
    );
    expect((await config.refused({ flags: { config: config.dir.path } })).message).toContain("is a folder");
  });

  test("--capture without a file", async () => {
    await using config = await configOf("");
    const error = await config.refused({ flags: { config: undefined, capture: "x" } });
    expect(error.message).toContain("--capture says which capture of a config file");
  });
});

describe("what is read", () => {
  test("named on the command line, else bindings and namespaces, else the databases of the endpoint", async () => {
    const text =
      "database: one, two\nnamespaces: [shop.a]\nbindings:\n  - resource: {database: shop, collection: b.c}\n";
    await using config = await configOf(text);
    expect((await config.resolve({ namespaces: ["x.y"] })).namespaces).toEqual(["x.y"]);
    expect((await config.resolve()).namespaces).toEqual(["shop.b.c", "shop.a"]);
    await using endpoint = await configOf("database: one, two\n");
    expect((await endpoint.resolve()).namespaces).toEqual(["one", "two"]);
  });

  test("discover looks into the databases of the endpoint, not only at what is bound", async () => {
    await using config = await configOf("database: shop\nbindings:\n  - resource: {database: shop, collection: a}\n");
    expect((await config.resolve({ command: "discover" })).namespaces).toEqual(["shop"]);
  });

  test("no binding is nothing to read", async () => {
    await using config = await configOf("database: shop\nbindings: []\n");
    expect((await config.resolve()).namespaces).toEqual([]);
  });

  test("a collections file adds to the level that names it", async () => {
    await using config = await configOf("collectionsFile: list.csv\nnamespaces: [shop.z]", { "list.csv": "shop.a\n" });
    expect((await config.resolve()).namespaces).toEqual(["shop.z", "shop.a"]);
    expect((await config.resolve({ namespaces: ["x.y"] })).namespaces).toEqual(["x.y"]);
    const flags = { "collections-file": config.dir.join("list.csv") };
    expect((await config.resolve({ flags, namespaces: ["x.y"] })).namespaces).toEqual(["x.y", "shop.a"]);
  });
});

describe("references", () => {
  test("${NAME} is a variable anywhere in a value; $${ means itself", async () => {
    await using config = await configOf("address: ${HOST}:1\nuser: a$${b}\npassword: ${PW}\nnamespaces: ['${DB}.x']");
    const { settings, namespaces } = await config.resolve({ env: { HOST: "h", PW: CANARY, DB: "shop" } });
    expect(settings.server).toMatchObject({ at: { text: "h:1" }, user: { text: "a${b}" }, password: { text: CANARY } });
    expect(namespaces).toEqual(["shop.x"]);
  });

  test("a variable that is not set is a problem", async () => {
    await using config = await configOf("address: ${MONGOTAP_NO_SUCH}\nnamespaces: [a]");
    expect((await config.refused()).message).toBe(
      `${config.path}:1: address refers to \${MONGOTAP_NO_SUCH}, which is not set`,
    );
  });

  test("file:NAME is read for a secret, relative to the config, without its line end", async () => {
    await using config = await configOf("address: h\nuser: u\npassword: file:secrets/pw\nnamespaces: [a]", {
      "secrets/pw": `${CANARY}\r\n`,
    });
    const { settings, secrets } = await config.resolve();
    expect(settings.server.password?.text).toBe(CANARY);
    expect(secrets).toContain(CANARY);
  });

  test("a connection string may be in a file", async () => {
    await using config = await configOf("uri: file:uri\nnamespaces: [a]", { uri: "mongodb://h/" });
    expect((await config.resolve()).settings.server).toMatchObject({ kind: "uri", at: { text: "mongodb://h/" } });
  });

  test("an encrypted value without a sops section is not taken for a password", async () => {
    await using config = await configOf("address: h\nuser: u\npassword: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]");
    expect((await config.refused()).message).toContain("password is encrypted by sops, but nothing here says how");
  });
});
