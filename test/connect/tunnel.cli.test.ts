import { expect, test } from "bun:test";
import { chmod, writeFile } from "node:fs/promises";
import { linesOf, tapAt } from "../cli/tap.ts";
import { CANARY, run, start } from "../support/cli.ts";
import { type TestDatabase, testDatabase } from "../support/replica-set.ts";
import { CLIENT_KEY, newKey, type SshServer, startSshServer } from "../support/ssh-server.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

interface Setting extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly dir: TempDir;
  readonly server: SshServer;
  /** With a host name that only the SSH server resolves. */
  readonly uri: string;
  /** `--ssh` with its key and known hosts. */
  readonly args: readonly string[];
}

async function settingOf(): Promise<Setting> {
  const database = await testDatabase();
  await database.db.collection("orders").insertMany([{ _id: 1 as never }, { _id: 2 as never }]);
  const dir = await tempDir();
  const [, port, setName = ""] = /:(\d+)\/.*replicaSet=(\w+)/.exec(database.uri) ?? [];
  const server = await startSshServer({ names: { "db.internal:27017": Number(port) } });
  await writeFile(dir.join("hosts"), server.knownHost);
  await writeFile(dir.join("key"), CLIENT_KEY.private, { mode: 0o600 });
  const uri = `mongodb://db.internal/?replicaSet=${setName}`;
  const args = ["--ssh", server.url, "--ssh-key", dir.join("key"), "--ssh-known-hosts", dir.join("hosts")];
  return {
    database,
    dir,
    server,
    uri,
    args,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

test("check, backfill, capture, status and discover work through --ssh", async () => {
  await using setting = await settingOf();
  const { uri, args, server, dir, database } = setting;
  const tap = tapAt(uri);
  const checked = await tap.expect(0, ["check", `${database.name}.orders`, ...args]);
  expect(checked.stdout).toContain(`✓ tunnel`);
  expect(checked.stdout).toContain(server.url);
  expect(checked.stdout).toMatch(/✓ host key +ssh-ed25519 SHA256:\S{43} \(.*hosts:1\)/);
  const copied = await tap.expect(0, ["backfill", `${database.name}.orders`, ...args]);
  expect(linesOf(copied.stdout).map((line) => line._id)).toEqual([1, 2]);
  const state = ["--state", dir.join("state")];
  const out = ["--out", dir.join("out"), "--until", "caught-up"];
  await tap.expect(0, ["capture", `${database.name}.orders`, ...args, ...state, ...out]);
  expect((await tap.expect(0, ["status", ...state, ...args])).stdout).toContain(`${database.name}.orders`);
  expect((await tap.expect(0, ["discover", database.name, ...args])).stdout).toContain("orders");
  expect(server.forwarded).toContain("db.internal:27017");
});

test("tail goes on after the SSH session is killed, without repeating or losing a change", async () => {
  await using setting = await settingOf();
  const { uri, args, server, database } = setting;
  const orders = database.db.collection("orders");
  await using tail = start(["tail", `${database.name}.orders`, "--log-level", "debug", ...args], {
    env: { MONGOTAP_URI: `${uri}&heartbeatFrequencyMS=500` },
  });
  // The stream starts at an unknown time: insert until a change arrives.
  let id = 100;
  const insert = async (): Promise<string> => {
    id += 1;
    await orders.insertOne({ _id: id as never });
    return `{"_id":${id},`;
  };
  const firsts = setInterval(() => void insert(), 100);
  await tail.waitForLine((line) => line.startsWith('{"_id":1'));
  clearInterval(firsts);
  for (let round = 0; round < 3; round += 1) {
    server.drop();
    const wanted = await insert();
    await tail.waitForLine((line) => line.startsWith(wanted), 30_000);
  }
  tail.kill("SIGTERM");
  const { code, stdout, stderr } = await tail.done;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  const ids = linesOf(stdout).map((line) => Number(line._id));
  const [first = 0] = ids;
  expect(ids).toEqual(Array.from({ length: id - first + 1 }, (_, index) => first + index));
  expect(stderr).toContain(`the tunnel through ${server.url} broke`);
  expect(server.sessions).toBeGreaterThanOrEqual(3);
});

test("an Estuary endpoint with networkTunnel is captured through it; its key is in no message", async () => {
  await using setting = await settingOf();
  const { server, dir, database, uri } = setting;
  const key = CLIENT_KEY.private.replaceAll("\n", "\n      ").trim();
  const config = (privateKey: string): string => `address: ${uri}
networkTunnel:
  sshForwarding:
    sshEndpoint: ${server.url}
    privateKey: |
      ${privateKey}
sshKnownHosts: hosts
sshPassphrase: ${CANARY}
bindings:
  - resource: {database: ${database.name}, collection: orders}
    target: x/orders
`;
  const path = dir.join("flow.yaml");
  await writeFile(path, config(key), { mode: 0o600 });
  const args = ["--config", path, "--until", "caught-up", "--log-level", "debug"];
  const found = await run(["capture", ...args, "--envelope", "none"]);
  expect({ code: found.code, stderr: found.code === 0 ? "" : found.stderr }).toEqual({ code: 0, stderr: "" });
  expect(linesOf(found.stdout).map((line) => line._id)).toEqual([1, 2]);
  for (const line of key.split("\n").slice(1, -1)) expect(found.stderr).not.toContain(line.trim());

  const stranger = newKey("ed25519").private.replaceAll("\n", "\n      ").trim();
  await writeFile(path, config(stranger));
  const refused = await run(["check", "--config", path]);
  expect(refused.code).toBe(5);
  expect(refused.stdout).toContain(`✗ tunnel`);
  expect(refused.stdout).toContain("the key is not accepted");
});

test("faulty settings fail before the first connection, an unknown host key before the login", async () => {
  await using setting = await settingOf();
  const { uri, args, server, dir } = setting;
  const tap = tapAt(uri);
  const failing = async (code: number, more: readonly string[], env = {}): Promise<string> =>
    (await tap.expect(code, ["discover", ...more], { env })).stderr;
  expect(await failing(2, ["--ssh", "bastion"])).toContain("--ssh takes ssh://user@host or ssh://user@host:port");
  expect(await failing(2, ["--ssh-key", "k"])).toContain("--ssh-key says how to log in to an ssh server");
  const agentless = { SSH_AUTH_SOCK: undefined };
  expect(await failing(2, ["--ssh", server.url], agentless)).toContain("--ssh takes a key as well");
  await chmod(dir.join("key"), 0o644);
  expect(await failing(2, args)).toContain("can be read by others (mode 0644): chmod 600");
  await chmod(dir.join("key"), 0o600);
  await writeFile(dir.join("hosts"), "");
  const unknown = await failing(5, args);
  expect(unknown).toMatch(/shows the ssh-ed25519 key SHA256:\S{43}, and .*hosts knows none for it/);
  expect(unknown).toContain(`ssh-keyscan -p ${server.port} 127.0.0.1`);
  expect(server.logins).toEqual([]);
  const [fingerprint = ""] = /SHA256:\S{43}/.exec(unknown) ?? [];
  await tap.expect(0, ["discover", ...args, "--ssh-host-key", fingerprint]);
});
