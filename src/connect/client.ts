/** Opens the MongoClient of a run and finds out what kind of server it is connected to. */

import { MongoClient, type MongoClientOptions } from "mongodb";

import { MongotapError } from "../errors.ts";
import type { ConnectionString } from "./connection-string.ts";
import { patchDriver } from "./driver-patches.ts";
import { settledWithin } from "../lib/async.ts";
import { runCommand } from "./run-command.ts";
import { toMongotapError } from "./server-errors.ts";
import type { ProxyOptions } from "./socks-proxy.ts";

export interface ServerInfo {
  /** Major, minor and patch, such as `[6, 0, 5]`. */
  readonly version: readonly number[];
  readonly topology: "replicaSet" | "sharded" | "standalone";
  /** The name of the replica set; empty for other topologies. */
  readonly setName: string;
  /** The `replicaSetId`; undefined where the user may not read it. */
  readonly setId: string | undefined;
}

export interface Connection extends AsyncDisposable {
  readonly client: MongoClient;
  readonly server: ServerInfo;
  /** How long a cheap command took, in ms. */
  readonly roundTripMs: number;
  /** The SOCKS proxy of the tunnel, if there is one: other clients of the same server (worker threads) use it too. */
  readonly proxyOptions?: ProxyOptions;
}

/** How long the first connection may take: enough for an election, short enough for an interactive user. */
const SELECTION_MS = 10_000;
/**
 * A last resort: the driver's monitor notices a dead or frozen server within half a minute and interrupts the commands that
 * wait for it. Not shorter, because the server may scan a large oplog before it replies to a stream that resumes far back.
 */
const SOCKET_MS = 900_000;

/** How to reach the server where there is no direct connection (tunnel.ts). */
export interface ProxyRoute {
  readonly proxyOptions: ProxyOptions;
  /** For messages; without secrets. */
  readonly shown: string;
  /** Why the route failed last; undefined where it did not. */
  readonly failure: MongotapError | undefined;
  /** Allows connections to these `host:port` and no others. */
  setAllowedHosts(addresses: Iterable<string>): void;
}

/**
 * Connects, through `route` if there is one, and asks the server for its version and topology.
 * @throws MongotapError `connect`, `auth` or `config`; messages name hosts, never credentials. The signal's reason when
 *   that aborts first.
 */
export async function connect(
  target: ConnectionString,
  appName: string,
  signal: AbortSignal,
  route?: ProxyRoute,
): Promise<Connection> {
  signal.throwIfAborted();
  const client = createClient(target, appName, route);
  try {
    const answer = await settledWithin(askServer(client), signal, 0);
    const proxy = route === undefined ? {} : { proxyOptions: route.proxyOptions };
    return { client, ...answer, ...proxy, [Symbol.asyncDispose]: () => client.close() };
  } catch (error) {
    const closed = client.close();
    closed.catch(() => undefined); // the first error is the one to report
    // close() waits until a connection attempt is over; a run that was stopped does not wait for that.
    signal.throwIfAborted();
    await closed;
    const why = route?.failure;
    if (why !== undefined) {
      throw new MongotapError(why.kind, `cannot connect to ${target.shown}: ${why.message}`, {
        hint: why.hint,
        cause: error,
      });
    }
    throw toMongotapError(
      error,
      `cannot connect to ${target.shown}${route === undefined ? "" : ` through ${route.shown}`}`,
    );
  }
}

async function askServer(client: MongoClient): Promise<Pick<Connection, "server" | "roundTripMs">> {
  const hello = await runCommand(client, "admin", { hello: 1 });
  const began = performance.now();
  const build = await runCommand(client, "admin", { buildInfo: 1 });
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

function createClient(target: ConnectionString, appName: string, route: ProxyRoute | undefined): MongoClient {
  const own = target.options;
  if (route !== undefined && own.has("proxyhost")) {
    throw new MongotapError("config", "the connection string names a proxy, and there is a tunnel as well", {
      hint: "Leave proxyHost out of it, or go without --ssh and networkTunnel.",
    });
  }
  const options: MongoClientOptions = { appName, maxPoolSize: 16, retryReads: false, ...route?.proxyOptions };
  if (!own.has("serverselectiontimeoutms")) options.serverSelectionTimeoutMS = SELECTION_MS;
  if (!own.has("connecttimeoutms")) options.connectTimeoutMS = SELECTION_MS;
  if (!own.has("sockettimeoutms")) options.socketTimeoutMS = SOCKET_MS;
  patchDriver();
  try {
    const client = new MongoClient(target.uri, options);
    // The driver emits the event before it connects: first with the seeds, then with the members that the server names.
    if (route !== undefined) {
      client.on("topologyDescriptionChanged", ({ newDescription }) =>
        route.setAllowedHosts(newDescription.servers.keys()),
      );
    }
    return client;
  } catch (error) {
    throw new MongotapError("config", `the connection string is not valid${harmlessDetail(error)}`, {
      hint: "Example: mongodb://user:password@host:27017/?replicaSet=rs0",
    });
  }
}

/** Returns driver messages that name an option only; any other could quote the connection string. */
function harmlessDetail(error: unknown): string {
  const message = error instanceof Error ? error.message : "";
  return /^options? [\w, ]+ (is|are) not supported$/i.test(message) || message.startsWith("ENOENT: no such file")
    ? `: ${message}`
    : "";
}

/** A replica set that was rebuilt under the same name has another id. Undefined where the user may not read it. */
async function replicaSetId(client: MongoClient): Promise<string | undefined> {
  try {
    const reply = await runCommand(client, "admin", { replSetGetConfig: 1 });
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
