import { describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { CANARY } from "../support/cli.ts";
import { configOf } from "./configs.ts";

/** The sample of Estuary's page on the MongoDB capture, with its indentation. */
const SAMPLE = `captures:
  \${PREFIX}/\${CAPTURE_NAME}:
    endpoint:
      connector:
        image: ghcr.io/estuary/source-mongodb:dev
        config:
          address: "mongo:27017"
          database: "test"
          password: "flow"
          user: "flow"
    bindings:
      - resource:
          collection: users
          database: test
        target: \${PREFIX}/users
`;

const ENDPOINT = `address: mongodb+srv://cluster.example.net/ignored?authSource=x
database: shop
user: me@home
password: ${CANARY}
`;

/** `capture` as the only one of a catalog. */
function catalog(config: string, bindings = "[]"): string {
  return `captures:
  acmeCo/mongo:
    endpoint:
      connector:
        image: ghcr.io/estuary/source-mongodb:v3
        config: ${config}
    bindings: ${bindings}
    interval: 5m
    autoDiscover: {addNewBindings: true}
collections: {}
`;
}

describe("Estuary's documentation", () => {
  test("its sample catalog is taken as it is", async () => {
    await using config = await configOf(SAMPLE);
    const { settings, namespaces, targets } = await config.resolve();
    expect(settings.server).toMatchObject({
      kind: "address",
      at: { text: "mongo:27017" },
      user: { text: "flow" },
      password: { text: "flow" },
    });
    expect(namespaces).toEqual(["test.users"]);
    expect([...targets]).toEqual([["test.users", "users"]]);
  });

  test("PREFIX stands for itself where it is set", async () => {
    await using config = await configOf(SAMPLE);
    const { targets } = await config.resolve({ env: { PREFIX: "acmeCo" } });
    expect(targets.get("test.users")).toBe("acmeCo/users");
    const env = { PREFIX: "acmeCo", CAPTURE_NAME: "mongo" };
    expect((await config.resolve({ env, flags: { capture: "acmeCo/mongo" } })).namespaces).toEqual(["test.users"]);
  });

  test("an endpoint config stands alone, or in a file beside the catalog", async () => {
    const server = { kind: "address", user: { text: "me@home" }, password: { text: CANARY } };
    await using alone = await configOf(ENDPOINT);
    expect((await alone.resolve()).settings.server).toMatchObject(server);
    expect((await alone.resolve()).namespaces).toEqual(["shop"]);
    await using beside = await configOf(catalog("config/mongo.config.yaml"), { "config/mongo.config.yaml": ENDPOINT });
    expect((await beside.resolve()).settings.server).toMatchObject(server);
    await using inline = await configOf(`config: ep.yaml\nbindings: []`, { "ep.yaml": ENDPOINT });
    expect((await inline.resolve()).settings.server).toMatchObject(server);
  });

  test("JSON is fine as well", async () => {
    const json = JSON.stringify({
      address: "h:1",
      user: "u",
      password: CANARY,
      bindings: [{ resource: { database: "a", collection: "b" }, target: "x/y" }],
    });
    await using config = await configOf(json);
    expect((await config.resolve()).targets.get("a.b")).toBe("x/y");
  });

  test("networkTunnel is read, and checked", async () => {
    const tunnel =
      "networkTunnel:\n  sshForwarding:\n    sshEndpoint: ssh://me@bastion:2222\n    privateKey: |\n      -----BEGIN KEY-----\n";
    await using config = await configOf(`${ENDPOINT}${tunnel}`);
    const { settings } = await config.resolve({ env: { MONGOTAP_SSH_PASSPHRASE: CANARY } });
    expect(settings.tunnel).toEqual({
      target: { user: "me", host: "bastion", port: 2222 },
      login: {
        kind: "key",
        text: "-----BEGIN KEY-----\n",
        from: `${config.path}:8: networkTunnel.sshForwarding.privateKey`,
        passphrase: CANARY,
      },
      pinnedHostKey: undefined,
      knownHosts: undefined,
    });
    await using wrong = await configOf(
      "address: h\nnetworkTunnel:\n  sshForwarding:\n    sshEndpoint: bastion\n    key: x\n",
    );
    expect((await wrong.refused()).message.split("; ")).toEqual([
      `${wrong.path}:5: networkTunnel.sshForwarding.key is not a key of sshForwarding`,
      `${wrong.path}:3: networkTunnel.sshForwarding takes privateKey as well`,
      `${wrong.path}:4: networkTunnel.sshForwarding.sshEndpoint takes ssh://user@host or ssh://user@host:port`,
    ]);
  });

  test("a tunnel of one's own: beside an endpoint's it is one too many, without a key it takes an agent", async () => {
    await using own = await configOf("address: h\nssh: ssh://me@[::1]\nsshKnownHosts: hosts\n");
    expect((await own.resolve({ env: { SSH_AUTH_SOCK: "/run/agent" } })).settings.tunnel).toEqual({
      target: { user: "me", host: "::1", port: 22 },
      login: { kind: "agent", socket: "/run/agent" },
      pinnedHostKey: undefined,
      knownHosts: own.dir.join("hosts"),
    });
    expect((await own.refused()).message).toContain("takes a key as well: --ssh-key FILE, or an agent");
    await using two = await configOf(
      "address: h\nssh: ssh://me@a\nnetworkTunnel:\n  sshForwarding:\n    sshEndpoint: ssh://me@b\n    privateKey: k\n",
    );
    expect((await two.refused({ env: { SSH_AUTH_SOCK: "/run/agent" } })).message).toContain("both ask for a tunnel");
    const keyAlone = await own.refused({
      flags: { address: "h", "ssh-key": "k" },
      env: { SSH_AUTH_SOCK: "/run/agent" },
    });
    expect(keyAlone.message).toContain("--ssh-key k cannot be read");
  });

  test("advanced: supported keys have an effect, the others are reported", async () => {
    const more =
      "advanced:\n  disablePreImages: true\n  excludeCollections: shop:logs,shop:a.b\n  exclusiveCollectionFilter: true\n";
    await using config = await configOf(`${ENDPOINT}${more}batchAndChangeStream: false\npollSchedule: 24h\n`);
    const { settings, notes } = await config.resolve();
    expect(settings).toMatchObject({ before: "none", exclude: ["shop.logs", "shop.a.b"] });
    expect(notes).toEqual([]);
    await using waiting = await configOf(`${ENDPOINT}advanced: {maxAwaitTime: 5s}\n`);
    expect((await waiting.resolve()).notes).toEqual(["advanced.maxAwaitTime is not used: mongotap asks every second"]);
    await using skipping = await configOf(`${ENDPOINT}advanced: {skipBackfills: "shop:a"}\n`);
    expect((await skipping.refused()).exitCode).toBe(10);
  });
});

describe("captures", () => {
  const two = `captures:
  acmeCo/one:
    endpoint: {connector: {image: ghcr.io/estuary/source-mongodb:v3, config: {address: one}}}
    bindings: [{resource: {database: a, collection: b}}]
  acmeCo/two:
    endpoint: {connector: {image: ghcr.io/estuary/source-mongodb:v3, config: {address: two}}}
    bindings: [{resource: {database: c, collection: d}}]
  acmeCo/postgres:
    endpoint: {connector: {image: ghcr.io/estuary/source-postgres:v3, config: {address: pg}}}
    bindings: []
`;

  test("--capture says which", async () => {
    await using config = await configOf(two);
    const { settings, namespaces } = await config.resolve({ flags: { capture: "acmeCo/two" } });
    expect(settings.server.at.text).toBe("two");
    expect(namespaces).toEqual(["c.d"]);
    expect((await config.resolve({ env: { MONGOTAP_CAPTURE: "acmeCo/one" } })).namespaces).toEqual(["a.b"]);
  });

  test("several, and none said", async () => {
    await using config = await configOf(two);
    expect((await config.refused()).message).toBe(
      `${config.path}:1: captures holds several: say which with --capture (acmeCo/one, acmeCo/two, acmeCo/postgres)`,
    );
  });

  test("a name that is not there, with the nearest that is", async () => {
    await using config = await configOf(two);
    const { message, hint } = await config.refused({ flags: { capture: "acmeCo/tow" } });
    expect(message).toBe(`${config.path}:1: captures holds no capture acmeCo/tow`);
    expect(hint).toBe("Did you mean acmeCo/two?");
  });

  test("a capture of another kind of database", async () => {
    await using config = await configOf(two);
    expect((await config.refused({ flags: { capture: "acmeCo/postgres" } })).message).toContain(
      ".image is not a connector for MongoDB: ghcr.io/estuary/source-postgres:v3",
    );
  });

  test("the only one for MongoDB is meant", async () => {
    await using config = await configOf(two.replace(/ {2}acmeCo\/two:\n.*\n.*\n/, ""));
    expect((await config.resolve()).namespaces).toEqual(["a.b"]);
  });

  test("the only one that Flow runs is meant, and one that it does not run is named as asked for", async () => {
    const off = two.replace("one}}}\n", "one}}}\n    shards: {disable: true}\n");
    await using config = await configOf(off);
    const enabled = await config.resolve();
    expect([enabled.namespaces, enabled.notes]).toEqual([["c.d"], []]);
    const disabled = await config.resolve({ flags: { capture: "acmeCo/one" } });
    expect(disabled.namespaces).toEqual(["a.b"]);
    expect(disabled.notes).toEqual(["the capture is disabled in Flow (shards.disable), but is run here as asked"]);
    await using none = await configOf(off.replace("two}}}\n", "two}}}\n    shards: {disable: true}\n"));
    expect((await none.refused()).message).toContain("holds several: say which with --capture");
    await using other = await configOf(two.replaceAll("}}}\n", "}}}\n    shards: {disable: no, hotStandbys: 1}\n"));
    expect((await other.refused()).message).toContain("holds several: say which with --capture");
  });

  test("--capture of a file without captures", async () => {
    await using config = await configOf(ENDPOINT);
    expect((await config.refused({ flags: { capture: "acmeCo/x" } })).message).toContain(
      "has no captures, so there is no acmeCo/x",
    );
  });

  test("a catalog that only imports others", async () => {
    await using config = await configOf("import: [other.yaml]\n");
    expect((await config.refused()).message).toContain("what it imports is not followed");
  });

  test("a config somewhere else, and one that is not there", async () => {
    await using far = await configOf(catalog("https://example.net/x.yaml"));
    expect((await far.refused()).message).toContain("config is somewhere else: fetch it");
    await using gone = await configOf(catalog("gone.yaml"));
    expect((await gone.refused()).message).toContain(`the file ${gone.dir.join("gone.yaml")} cannot be read`);
  });

  test("unknown keys, at every level", async () => {
    const text = catalog("{adress: h}", "[{resource: {database: a, collecton: b}, taget: x}]").replace(
      "interval:",
      "intreval:",
    );
    await using config = await configOf(text);
    expect((await config.refused()).message.split("; ")).toEqual([
      expect.stringContaining("intreval is not a key of a capture (Did you mean interval?)"),
      expect.stringContaining("config.adress is not a key of an endpoint config (Did you mean address?)"),
      expect.stringContaining("bindings[0].taget is not a key of a binding (Did you mean target?)"),
      expect.stringContaining("resource.collecton is not a key of a resource (Did you mean collection?)"),
      expect.stringContaining("bindings[0].resource takes a collection"),
    ] as never);
  });

  test("a capture without an endpoint", async () => {
    await using config = await configOf("captures: {a/b: {bindings: []}}");
    expect((await config.refused()).message).toContain("takes an endpoint with a connector and its config");
  });
});

describe("bindings", () => {
  test("disabled ones are left out; dots in collections are fine; no target is fine", async () => {
    await using config = await configOf(
      catalog(
        "{address: h}",
        "[{resource: {database: a, collection: b.c}}, {resource: {database: a, collection: d}, target: t/d, disable: true}]",
      ),
    );
    const { namespaces, targets } = await config.resolve();
    expect(namespaces).toEqual(["a.b.c"]);
    expect(targets.size).toBe(0);
  });

  test("what cannot be", async () => {
    const wrong = `
      - resource: {database: a.b, collection: c}
      - resource: {database: admin, collection: c}
      - resource: {database: a, collection: b, captureMode: Batch Snapshot}
      - resource: {database: a, collection: c}
      - resource: {database: a, collection: c}
      - resource: {database: a, collection: e}
        target: ///
      - target: x
      - resource: {database: a, collection: "*"}
        target: x`;
    await using config = await configOf(catalog("{address: h}", wrong));
    const { message, exitCode } = await config.refused();
    expect(exitCode).toBe(2);
    expect(message.split("; ").map((problem) => problem.replace(/^.*bindings/, ""))).toEqual([
      "[0].resource cannot be: a database name holds no dot",
      expect.stringContaining("the database admin belongs to the server"),
      expect.stringContaining("captureMode is Batch Snapshot: mongotap does not poll"),
      "[4] names a.c for the second time",
      "[5].target is empty",
      "[6] takes a resource with database and collection",
      "[7].target names one file: it does not fit a whole database",
    ] as never);
  });

  test("a mode that has no change stream alone is unsupported", async () => {
    await using config = await configOf(
      catalog("{address: h}", "[{resource: {database: a, collection: b, captureMode: Batch Incremental}}]"),
    );
    expect((await config.refused()).exitCode).toBe(10);
  });
});

test("the sample is the one of the documentation", async () => {
  const page = await readFile(
    new URL("../../../shared/source-docs/estuary-mongodb-capture.txt", import.meta.url),
    "utf8",
  ).catch(() => "");
  if (page === "") return; // the page is kept beside the repository
  const lines = SAMPLE.split("\n").map((line) => line.trim());
  for (const line of [
    'address: "mongo:27017"',
    'database: "test"',
    "- resource:",
    "collection: users",
    "target: ${PREFIX}/users",
  ]) {
    expect(page.replaceAll(/^\s+/gm, "")).toContain(line);
    expect(lines).toContain(line);
  }
});
