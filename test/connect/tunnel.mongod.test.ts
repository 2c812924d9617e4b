import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { connect as connectSocket } from "node:net";
import { MongoClient } from "mongodb";
import { connect } from "../../src/connect/client.ts";
import { parseConnectionString } from "../../src/connect/connection-string.ts";
import { openTunnel, type Tunnel, type TunnelOptions } from "../../src/connect/tunnel.ts";
import { MongotapError } from "../../src/errors.ts";
import { startProxy } from "../support/proxy.ts";
import { rejectionOf } from "../support/rejection.ts";
import { sharedReplicaSet, testDatabase } from "../support/replica-set.ts";
import { CLIENT_KEY, newKey, startSshServer } from "../support/ssh-server.ts";
import type { SshServer, SshServerOptions } from "../support/ssh-server.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

interface Setting extends AsyncDisposable {
  readonly server: SshServer;
  readonly warnings: readonly string[];
  open(more?: Partial<TunnelOptions>): Promise<Tunnel>;
}

async function settingOf(options: SshServerOptions = {}, knownHosts?: string): Promise<Setting> {
  const server = await startSshServer(options);
  const dir = await tempDir();
  await writeFile(dir.join("known_hosts"), knownHosts ?? server.knownHost);
  const warnings: string[] = [];
  return {
    server,
    warnings,
    open: (more = {}) =>
      openTunnel({
        target: { user: "tap", host: "127.0.0.1", port: server.port },
        login: { kind: "key", text: CLIENT_KEY.private, from: "the key", passphrase: undefined },
        pinnedHostKey: undefined,
        knownHosts: dir.join("known_hosts"),
        signal: new AbortController().signal,
        onWarning: (message) => void warnings.push(message),
        ...more,
      }),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** The port of the shared server and the name of its replica set. */
async function member(): Promise<{ port: number; setName: string }> {
  const { uri } = await sharedReplicaSet();
  const [, port, setName = ""] = /:(\d+)\/.*replicaSet=(\w+)/.exec(uri) ?? [];
  return { port: Number(port), setName };
}

const never = new AbortController().signal;

test("the tunnel reaches a seed that only the SSH server resolves, and the members by their own names", async () => {
  const { port, setName } = await member();
  const { name, db } = await testDatabase();
  await db.collection("a").insertOne({ text: "x".repeat(1_000_000) });
  await using setting = await settingOf({ names: { "db.internal:27017": port } });
  await using tunnel = await setting.open();
  const uri = parseConnectionString(`mongodb://db.internal/?replicaSet=${setName}`, "the test");
  await using connection = await connect(uri, "test", never, tunnel);
  expect(connection.server.topology).toBe("replicaSet");
  const found = await connection.client.db(name).collection("a").findOne();
  expect(found?.["text"]).toHaveLength(1_000_000);
  expect(setting.server.forwarded[0]).toBe("db.internal:27017");
  expect(setting.server.forwarded).toContain(`127.0.0.1:${port}`);
  expect(tunnel.hostKey).toMatch(/^ssh-ed25519 SHA256:\S{43} \(.*known_hosts:1\)$/);
  expect(setting.warnings).toEqual([]);
  await connection.client.close();
  await waitFor(() => setting.server.channels === 0, { what: "every channel to be closed" });
});

test("after the SSH session is killed a command goes through a new one", async () => {
  const { port, setName } = await member();
  await using setting = await settingOf();
  await using tunnel = await setting.open();
  await using connection = await connect(
    parseConnectionString(`mongodb://127.0.0.1:${port}/?replicaSet=${setName}&heartbeatFrequencyMS=500`, "the test"),
    "test",
    never,
    tunnel,
  );
  const ping = (): Promise<unknown> => connection.client.db("admin").command({ ping: 1 });
  await ping();
  setting.server.drop();
  await waitFor(
    () =>
      ping().then(
        () => true,
        () => false,
      ),
    { what: "a command to get through" },
  );
  expect(setting.server.sessions).toBe(2);
  expect(setting.warnings.join("\n")).toContain(`the tunnel through ${tunnel.shown} broke`);
  expect(setting.warnings.join("\n")).toContain(`${tunnel.shown} is connected again`);
});

test("an SSH connection that no longer answers is replaced", async () => {
  const { port, setName } = await member();
  await using setting = await settingOf();
  await using proxy = await startProxy({ port: setting.server.port });
  const known = setting.server.knownHost.replace(String(setting.server.port), String(proxy.port));
  await using dir = await tempDir();
  await writeFile(dir.join("hosts"), known);
  const target = { user: "tap", host: "127.0.0.1", port: proxy.port };
  await using tunnel = await setting.open({ target, knownHosts: dir.join("hosts"), keepaliveMs: 100 });
  const uri = parseConnectionString(`mongodb://127.0.0.1:${port}/?replicaSet=${setName}`, "the test");
  await using connection = await connect(uri, "test", never, tunnel);
  proxy.blackhole(true);
  await waitFor(() => setting.warnings.some((warning) => warning.endsWith("broke: Keepalive timeout")), {
    what: "the silence to be noticed",
  });
  proxy.blackhole(false);
  const ping = (): Promise<unknown> => connection.client.db("admin").command({ ping: 1 });
  await waitFor(
    () =>
      ping().then(
        () => true,
        () => false,
      ),
    { what: "a command to get through" },
  );
});

test("a host key that is unknown, changed or not the pinned one is refused before the login", async () => {
  for (const [knownHosts, message] of [
    ["# nothing\n", "knows none for it"],
    [undefined, "knows another one"],
  ] as const) {
    await using other = await settingOf({ hostKey: newKey("ed25519") });
    await using setting = await settingOf(
      { hostKey: newKey("ed25519") },
      knownHosts ?? other.server.knownHost.replace(String(other.server.port), "*"),
    );
    const error = await rejectionOf(setting.open());
    expect(error).toBeInstanceOf(MongotapError);
    expect((error as MongotapError).exitCode).toBe(5);
    expect(error.message).toContain(message);
    expect(error.message).toMatch(/SHA256:\S{43}/);
    expect((error as MongotapError).hint).toContain(setting.server.knownHost.trim());
    expect(setting.server.logins).toEqual([]);
    const [fingerprint] = /SHA256:\S{43}/.exec(error.message) ?? [];
    await using pinned = await setting.open({ pinnedHostKey: fingerprint });
    expect(pinned.hostKey).toContain("(pinned)");
    const wrong = await rejectionOf(setting.open({ pinnedHostKey: `SHA256:${"A".repeat(43)}` }));
    expect(wrong.message).toContain(`not SHA256:${"A".repeat(43)}`);
  }
});

test("a refused login, an absent server and a server that does not forward fail with different messages", async () => {
  const { port } = await member();
  await using setting = await settingOf({ forwards: false });
  const key = newKey("rsa").private;
  const refused = await rejectionOf(
    setting.open({ login: { kind: "key", text: key, from: "k", passphrase: undefined } }),
  );
  expect((refused as MongotapError).exitCode).toBe(5);
  expect(refused.message).toContain("the key is not accepted");
  const noAgent = await rejectionOf(setting.open({ login: { kind: "agent", socket: "/nowhere/agent" } }));
  expect((noAgent as MongotapError).exitCode).toBe(5);
  expect(noAgent.message).toContain("the agent does not answer");
  const absent = await rejectionOf(
    setting.open({ target: { user: "tap", host: "127.0.0.1", port: 1 }, pinnedHostKey: "" }),
  );
  expect((absent as MongotapError).exitCode).toBe(4);
  expect(absent.message).toContain("cannot reach ssh://tap@127.0.0.1:1: ");
  await using tunnel = await setting.open();
  const uri = parseConnectionString(`mongodb://127.0.0.1:${port}/?serverSelectionTimeoutMS=500`, "the test");
  const notForwarded = await rejectionOf(connect(uri, "test", never, tunnel));
  expect((notForwarded as MongotapError).exitCode).toBe(4);
  expect(notForwarded.message).toContain(`does not let us through to 127.0.0.1:${port}`);
  expect((notForwarded as MongotapError).hint).toContain("AllowTcpForwarding");
});

/** The answers of the SOCKS proxy to `messages`, each sent after the answer to the one before. */
async function answersTo(port: number, messages: readonly Buffer[]): Promise<Buffer> {
  const socket = connectSocket(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let next = 0;
  const send = (): void => {
    const message = messages[next];
    next += 1;
    if (message !== undefined) socket.write(message);
  };
  socket.on("error", () => undefined);
  socket.once("connect", send);
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    send();
  });
  await closed;
  return Buffer.concat(chunks);
}

test("the SOCKS proxy requires its password, and connects to allowed hosts only", async () => {
  const { port } = await member();
  await using setting = await settingOf();
  await using tunnel = await setting.open();
  tunnel.setAllowedHosts([`127.0.0.1:${port}`, "169.254.169.254:80"]);
  const { proxyPort, proxyUsername, proxyPassword } = tunnel.proxyOptions;
  const login = (password: string): Buffer =>
    Buffer.from(
      `\u0001${String.fromCharCode(proxyUsername.length)}${proxyUsername}${String.fromCharCode(password.length)}${password}`,
    );
  const toMetadata = Buffer.from([5, 1, 0, 1, 169, 254, 169, 254, 0, 80]);
  expect([...(await answersTo(proxyPort, [Buffer.from([5, 1, 0])]))]).toEqual([5, 0xff]);
  expect([...(await answersTo(proxyPort, [Buffer.from("GET / HTTP/1.1\r\n\r\n")]))]).toEqual([5, 0xff]);
  expect([...(await answersTo(proxyPort, [Buffer.from([5, 1, 2]), login("wrong")]))]).toEqual([5, 2, 1, 1]);
  const answer = await answersTo(proxyPort, [Buffer.from([5, 1, 2]), login(proxyPassword), toMetadata]);
  expect([...answer.subarray(0, 6)]).toEqual([5, 2, 1, 0, 5, 2]);
  expect(setting.warnings).toEqual([
    "a program came to the door of the tunnel without its password",
    "the tunnel leads to the members of the cluster only, not to 169.254.169.254:80",
  ]);
  expect(setting.server.forwarded).toEqual([]);
  await using client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, tunnel.proxyOptions);
  expect(await client.db("admin").command({ ping: 1 })).toMatchObject({ ok: 1 });
});
