/** Opens the one MongoClient of a run and says what kind of server is behind it. */

import { MongoClient, type MongoClientOptions } from "mongodb";

import { MongotapError } from "../errors.ts";
import type { ConnectionString } from "./connection-string.ts";
import { patchDriver } from "./driver-patches.ts";
import { settledWithin } from "../lib/async.ts";
import { toMongotapError } from "./server-errors.ts";
import type { ProxyOptions } from "./socks-proxy.ts";

export interface ServerInfo {
  /** Such as `[6, 0, 5]`. */
  readonly version: readonly number[];
  readonly topology: "replicaSet" | "sharded" | "standalone";
  /** The name of the replica set; empty for other topologies. */
  readonly setName: string;
  /** The identity of the replica set, where the user may see it. */
  readonly setId: string | undefined;
}

export interface Connection extends AsyncDisposable {
  readonly client: MongoClient;
  readonly server: ServerInfo;
  /** How long the server takes to answer a question that costs it nothing (ms). */
  readonly roundTripMs: number;
  /** The door of the tunnel, where there is one: for others who connect to the same server. */
  readonly proxyOptions?: ProxyOptions;
}

/** How long the first connection may take: enough for an election, short enough for somebody who waits. */
const SELECTION_MS = 10_000;
/**
 * A last resort: the driver's monitor notices a dead or frozen server within half a minute and interrupts what waits for
 * it. Not shorter, because a stream that resumes far back may have to scan a large oplog before it answers at all.
 */
const SOCKET_MS = 900_000;

/** The way to the server where it is not reached directly (tunnel.ts). */
export interface ProxyRoute {
  readonly proxyOptions: ProxyOptions;
  readonly shown: string;
  readonly failure: MongotapError | undefined;
  setAllowedHosts(addresses: Iterable<string>): void;
}

/**
 * Connects and asks the server what it is; by `way`, if there is one.
 * @throws MongotapError `connect`, `auth` or `config`; messages name hosts, never credentials. The signal's reason when
 *   that aborts first.
 */
export async function connect(
  target: ConnectionString,
  appName: string,
  signal: AbortSignal,
  way?: ProxyRoute,
): Promise<Connection> {
  signal.throwIfAborted();
  const client = createClient(target, appName, way);
  try {
    const answer = await settledWithin(askServer(client), signal, 0);
    const door = way === undefined ? {} : { proxyOptions: way.proxyOptions };
    return { client, ...answer, ...door, [Symbol.asyncDispose]: () => client.close() };
  } catch (error) {
    const closed = client.close();
    closed.catch(() => undefined); // the first error is the news
    // A client that still connects is closed when its attempt is over, and nobody waits for that.
    signal.throwIfAborted();
    await closed;
    const why = way?.failure;
    if (way !== undefined && why !== undefined) {
      throw new MongotapError(why.kind, `cannot connect to ${target.shown}: ${why.message}`, {
        hint: why.hint,
        cause: error,
      });
    }
    throw toMongotapError(
      error,
      `cannot connect to ${target.shown}${way === undefined ? "" : ` through ${way.shown}`}`,
    );
  }
}

async function askServer(client: MongoClient): Promise<Pick<Connection, "server" | "roundTripMs">> {
  const hello = await client.db("admin").command({ hello: 1 });
  const began = performance.now();
  const build = await client.db("admin").command({ buildInfo: 1 });
  const roundTripMs = performance.now() - began;
  const setName = typeof hello["setName"] === "string" ? hello["setName"] : "";
  const topology = hello["msg"] === "isdbgrid" ? "sharded" : setName === "" ? "standalone" : "replicaSet";
  const server: ServerInfo = {
    version: String(build["version"]).split(/[.-]/).slice(0, 3).map(Number),
    topology,
    setName,
    setId: topology === "replicaSet" ? await replicaSetId(client) : undefined,
  };
  return { server, roundTripMs };
}

function createClient(target: ConnectionString, appName: string, way: ProxyRoute | undefined): MongoClient {
  const own = target.options;
  if (way !== undefined && own.has("proxyhost")) {
    throw new MongotapError("config", "the connection string names a proxy, and there is a tunnel as well", {
      hint: "Leave proxyHost out of it, or go without --ssh and networkTunnel.",
    });
  }
  const options: MongoClientOptions = { appName, maxPoolSize: 16, retryReads: false, ...way?.proxyOptions };
  if (!own.has("serverselectiontimeoutms")) options.serverSelectionTimeoutMS = SELECTION_MS;
  if (!own.has("connecttimeoutms")) options.connectTimeoutMS = SELECTION_MS;
  if (!own.has("sockettimeoutms")) options.socketTimeoutMS = SOCKET_MS;
  patchDriver();
  try {
    const client = new MongoClient(target.uri, options);
    // The seeds, then whom the server names; told before the first of them is connected to.
    if (way !== undefined) {
      client.on("topologyDescriptionChanged", ({ newDescription }) =>
        way.setAllowedHosts(newDescription.servers.keys()),
      );
    }
    return client;
  } catch (error) {
    throw new MongotapError("config", `the connection string is not valid${harmlessDetail(error)}`, {
      hint: "Example: mongodb://user:password@host:27017/?replicaSet=rs0",
    });
  }
}

/** Driver messages about options name the option only; all others could quote the string itself. */
function harmlessDetail(error: unknown): string {
  const message = error instanceof Error ? error.message : "";
  return /^options? [\w, ]+ (is|are) not supported$/i.test(message) || message.startsWith("ENOENT: no such file")
    ? `: ${message}`
    : "";
}

/** A set that was rebuilt under the same name has another id. Not every user may ask: undefined then. */
async function replicaSetId(client: MongoClient): Promise<string | undefined> {
  try {
    const reply = await client.db("admin").command({ replSetGetConfig: 1 });
    const settings: unknown = (reply["config"] as { settings?: unknown } | undefined)?.settings;
    const id = (settings as { replicaSetId?: { toHexString(): string } } | undefined)?.replicaSetId;
    return id?.toHexString();
  } catch {
    return undefined; // needs clusterMonitor; the name and the collection UUIDs still identify the source
  }
}

/** Whether the server is at least `major.minor.patch`. */
export function isAtLeast(server: ServerInfo, major: number, minor = 0, patch = 0): boolean {
  const [a = 0, b = 0, c = 0] = server.version;
  return a !== major ? a > major : b !== minor ? b > minor : c >= patch;
}
