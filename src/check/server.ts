/** Checks of the connection (encryption, login) and of the server (version, topology, collections, oplog window). */

import type { MongoClient } from "mongodb";

import { isAtLeast, type ServerInfo } from "../connect/client.ts";
import { runCommand } from "../connect/run-command.ts";
import { toMongotapError } from "../connect/server-errors.ts";
import { MongotapError } from "../errors.ts";
import { sizeOf } from "../observe/stats.ts";
import type { Binding } from "../source/record.ts";
import { type CollectionInfo, measure, resolveBindings } from "../source/catalog.ts";
import { readOplogWindow, secondsBetween } from "../source/replication.ts";
import { nameOf } from "../source/record.ts";
import { type Check, fail, type Finding, ok, warn } from "./finding.ts";

/** The speed of a backfill on a small machine and a slow network; for a warning only. */
const SLOW_BYTES_PER_SECOND = 20_000_000;
/** Warn of a backfill that takes more than this share of the oplog window. */
const SAFE_WINDOW_SHARE = 0.5;
/** An oplog younger than this does not yet show its full window. */
const YOUNG_OPLOG_SECONDS = 3600;
const LOCAL_HOSTS = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|.*\.sock)$/;

/** The checks of a connection; `client` must be connected. */
export function connectionChecks(client: MongoClient): readonly Check[] {
  return [
    { name: "TLS", run: () => Promise.resolve(checkTls(client)) },
    { name: "login", run: () => checkLogin(client) },
  ];
}

/** The checks of the server for a run that reads `bindings`. */

export function serverChecks(client: MongoClient, server: ServerInfo, bindings: readonly Binding[]): readonly Check[] {
  return [
    { name: "version", run: () => Promise.resolve(checkVersion(server)) },
    { name: "topology", run: () => Promise.resolve(checkTopology(server)) },
    { name: "collections", run: () => checkCollections(client, bindings) },
    { name: "images", run: () => checkImages(client, server, bindings) },
    { name: "oplog window", run: () => checkWindow(client, bindings) },
  ];
}

function checkTls(client: MongoClient): Finding {
  const { tls, rejectUnauthorized, hosts } = client.options;
  if (tls && rejectUnauthorized === false) {
    return warn(
      "on, but nothing is verified",
      "Leave out tlsInsecure and tlsAllow…; name your authority with tlsCAFile=FILE.",
    );
  }
  if (tls) return ok("on, certificate and host name verified");
  if (hosts.every((host) => LOCAL_HOSTS.test(host.host ?? ""))) return ok("off, on this machine only");
  return warn("off: documents and login travel in the clear", "Add tls=true to the connection string, or use --ssh.");
}

async function checkLogin(client: MongoClient): Promise<Finding> {
  try {
    const reply = await runCommand(client, "admin", { connectionStatus: 1 });
    const info = reply["authInfo"] as { authenticatedUsers?: readonly { user: string; db: string }[] } | undefined;
    const [user] = info?.authenticatedUsers ?? [];
    return ok(user ? `as ${user.user}, known to ${user.db}` : "none: nobody has to log in, or nobody did");
  } catch (error) {
    const { kind, message, hint } = toMongotapError(error, "cannot ask who is logged in");
    return fail(kind, message, hint);
  }
}

function checkVersion(server: ServerInfo): Finding {
  const text = server.version.join(".");
  if (isAtLeast(server, 5)) return ok(`MongoDB ${text}`);
  return fail("unsupported", `MongoDB ${text}`, "5.0 or newer is needed.");
}

function checkTopology({ topology, setName }: ServerInfo): Finding {
  if (topology === "replicaSet") return ok(`replica set ${setName}`);
  if (topology === "sharded") return ok("sharded cluster");
  return fail(
    "unsupported",
    "standalone: no change streams",
    "Start mongod with --replSet and run rs.initiate(); backfill works as it is.",
  );
}

async function checkCollections(client: MongoClient, bindings: readonly Binding[]): Promise<Finding> {
  try {
    const collections = await resolveBindings(client, bindings, () => false);
    const named = new Set(bindings.map((binding) => `${binding.db}.${binding.collection ?? ""}`));
    const unstreamable = collections.filter((info) => info.type !== "collection" && named.has(nameOf(info.namespace)));
    if (unstreamable.length > 0) {
      const names = unstreamable.map((info) => `${nameOf(info.namespace)} (${info.type})`).join(", ");
      return warn(`without a change stream: ${names}`, "backfill can read them; tail and capture cannot.");
    }
    const capped = collections.filter((info) => info.capped);
    if (capped.length > 0) {
      return warn(
        `capped: ${capped.map((info) => nameOf(info.namespace)).join(", ")}`,
        "Copied documents and changes of the same time are in no certain order.",
      );
    }
    return ok(`${collections.length} found`);
  } catch (error) {
    if (error instanceof MongotapError) return fail(error.kind, error.message, error.hint);
    throw error;
  }
}

async function checkImages(client: MongoClient, server: ServerInfo, bindings: readonly Binding[]): Promise<Finding> {
  if (!isAtLeast(server, 6)) return ok("not known to this version: the document of an update is looked up");
  const collections = await resolveBindings(client, bindings, () => true);
  const without = collections.filter((info) => info.type === "collection" && !info.images);
  if (without.length === 0) return ok(collections.length === 0 ? "nothing to look at" : "kept by every collection");
  const names = without
    .slice(0, 3)
    .map((info) => nameOf(info.namespace))
    .join(", ");
  return ok(
    `not kept by ${names}${without.length > 3 ? " and others" : ""}: the document of an update is looked up, within the snapshot window of the server`,
  );
}

async function checkWindow(client: MongoClient, bindings: readonly Binding[]): Promise<Finding> {
  const window = await readOplogWindow(client);
  if (!window)
    return warn("cannot be read by this user", "Grant find on local.oplog.rs to know how long a capture may be down.");
  const seconds = secondsBetween(window.first, window.last);
  const bytes = await totalBytes(client, await resolveBindings(client, bindings, () => true));
  const needed = Math.ceil(bytes / SLOW_BYTES_PER_SECOND);
  const text = `${durationOf(seconds)} of history; ${sizeOf(bytes)} to copy, at most about ${durationOf(needed)}`;
  if (needed <= Math.max(seconds * SAFE_WINDOW_SHARE, 1) || seconds < YOUNG_OPLOG_SECONDS) return ok(text);
  return warn(
    text,
    "The stream goes on during a backfill, but a run that is down for longer than the history must copy again: enlarge the oplog (replSetResizeOplog).",
  );
}

async function totalBytes(client: MongoClient, collections: readonly CollectionInfo[]): Promise<number> {
  let total = 0;
  for (const info of collections) total += (await measure(client, info)).bytes ?? 0;
  return total;
}

function durationOf(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
