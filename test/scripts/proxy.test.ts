/** The chaos proxy, between small servers of our own. */
import { expect, test } from "bun:test";
import { type Server, type Socket, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { startProxy } from "../support/proxy.ts";
import { waitFor } from "../support/wait.ts";

interface Upstream extends AsyncDisposable {
  readonly port: number;
}

/** Answers each byte with itself, and an end with an end. */
async function startEcho(): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

interface Client extends Disposable {
  readonly socket: Socket;
  received(): string;
  /** How it ended: `end`, or the code of the error. */
  readonly fate: Promise<string>;
}

async function connectTo(port: number): Promise<Client> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const fate = new Promise<string>((resolve) => {
    socket.once("end", () => resolve("end"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  return {
    socket,
    fate,
    received: () => Buffer.concat(chunks).toString("latin1"),
    [Symbol.dispose]: () => socket.destroy(),
  };
}

const BIG = "0123456789".repeat(200_000);

test("without faults every byte passes, in both directions, and the ends too", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy(echo);
  using client = await connectTo(proxy.port);
  client.socket.end(BIG);
  expect(await client.fate).toBe("end");
  expect(client.received() === BIG).toBe(true);
  expect(proxy.bytes).toEqual({ toClient: BIG.length, toServer: BIG.length });
  expect(proxy.accepted).toBe(1);
  await waitFor(() => proxy.connections === 0, { what: "the connection to be closed" });
});

for (const count of [0, 1, 9, 10]) {
  test(`dropAfter(${count}) lets exactly ${count} bytes pass, then resets once`, async () => {
    await using echo = await startEcho();
    await using proxy = await startProxy(echo);
    proxy.dropAfter(count);
    using first = await connectTo(proxy.port);
    first.socket.write("0123456789abc");
    expect(await first.fate).toBe("ECONNRESET");
    expect(first.received()).toBe("0123456789abc".slice(0, count));
    using second = await connectTo(proxy.port);
    second.socket.end("0123456789abc");
    expect(await second.fate).toBe("end");
    expect(second.received()).toBe("0123456789abc");
  });
}

test("dropAfter() towards the server, by an end, for two connections", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy(echo);
  proxy.dropAfter(4, { direction: "toServer", how: "end", times: 2 });
  for (const fate of ["cut", "cut", "whole"]) {
    using client = await connectTo(proxy.port);
    client.socket.write("01234567");
    if (fate === "whole") client.socket.end();
    expect(await client.fate).toBe("end");
    expect(client.received().length).toBe(fate === "whole" ? 8 : client.received().length);
    if (fate === "cut") expect(client.received().length).toBeLessThanOrEqual(4);
  }
});

test("resetAll() resets the open connections, refuse() the new ones", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy(echo);
  using client = await connectTo(proxy.port);
  client.socket.write("x");
  await waitFor(() => client.received() === "x", { what: "the echo" });
  proxy.refuse(true);
  proxy.resetAll();
  expect(await client.fate).toBe("ECONNRESET");
  const socket = connect({ port: proxy.port, host: "127.0.0.1" });
  const refused = await new Promise((resolve) => socket.once("error", resolve).once("close", () => resolve("closed")));
  expect(refused).toBeDefined();
  proxy.refuse(false);
  using again = await connectTo(proxy.port);
  again.socket.end("y");
  expect(await again.fate).toBe("end");
});

test("blackhole() loses nothing: what waited passes when it is lifted", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy(echo);
  using client = await connectTo(proxy.port);
  proxy.blackhole(true);
  client.socket.write("patience");
  await sleep(200);
  expect(client.received()).toBe("");
  proxy.blackhole(false);
  await waitFor(() => client.received() === "patience", { what: "the echo" });
});

test("delay() moves every byte by its time in each direction, and does not add up", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy(echo);
  proxy.delay(100);
  using client = await connectTo(proxy.port);
  const startedAt = performance.now();
  for (let index = 0; index < 10; index += 1) {
    client.socket.write("x");
    await sleep(5);
  }
  await waitFor(() => client.received().length === 10, { what: "ten echoes", everyMs: 2 });
  const ms = performance.now() - startedAt;
  expect(ms).toBeGreaterThan(195);
  expect(ms).toBeLessThan(1_800); // added up, ten round trips would take 2 s
});

test("bandwidth() limits the bytes per second", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy(echo);
  proxy.bandwidth(100_000);
  using client = await connectTo(proxy.port);
  const startedAt = performance.now();
  client.socket.end(BIG.slice(0, 50_000));
  expect(await client.fate).toBe("end");
  expect(client.received().length).toBe(50_000);
  expect(performance.now() - startedAt).toBeGreaterThan(450);
});

test("bandwidth() of all connections together is shared by them", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy(echo);
  proxy.bandwidth(100_000, "together");
  using one = await connectTo(proxy.port);
  using other = await connectTo(proxy.port);
  const startedAt = performance.now();
  for (const client of [one, other]) client.socket.end(BIG.slice(0, 25_000));
  expect([await one.fate, await other.fate]).toEqual(["end", "end"]);
  expect(performance.now() - startedAt).toBeGreaterThan(450);
});

test("a closed proxy takes no connections", async () => {
  await using echo = await startEcho();
  const proxy = await startProxy(echo);
  using client = await connectTo(proxy.port);
  client.socket.write("x");
  await waitFor(() => client.received() === "x", { what: "the echo" });
  await proxy.close();
  expect(await client.fate).toBe("ECONNRESET");
  const socket = connect({ port: proxy.port, host: "127.0.0.1" });
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => socket.once("error", resolve));
  expect(error.code).toBe("ECONNREFUSED");
});
