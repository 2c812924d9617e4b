/** Starts replica sets of 1 or 3 members on loopback, and standalone servers. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Document, MongoServerError } from "mongodb";
import type { Member } from "./member.ts";
import { type ServerOptions, type Servers, startServers } from "./servers.ts";

const SET_NAME = "rs";

export interface ReplicaSetOptions extends ServerOptions {
  readonly members: 1 | 3;
  /** Default: 5 % of the disk (the server's own). 1 for a history that is lost within seconds: see `syncdelay`. */
  readonly oplogSizeMB?: number | undefined;
  /**
   * Resolves with the port that a member has in the configuration of the set, given its real one. With a proxy at that
   * port the network to clients and between members can be cut.
   */
  readonly advertise?: ((port: number) => Promise<number>) | undefined;
}

/** A running server, or several. */
export interface Standalone extends AsyncDisposable {
  /** For clients, with credentials and the path of the CA certificate if the server uses them. */
  readonly uri: string;
  readonly uriWithoutCredentials: string;
  readonly members: readonly [Member, ...Member[]];
  /** Of the server, for instance `6.0.5`. */
  readonly version: string;
  /** With TLS: the CA certificate that clients must trust. */
  readonly caFile: string | undefined;
  /** Kills every member and removes all their files. Safe to call twice. */
  stop(): Promise<void>;
}

export interface ReplicaSet extends Standalone {
  /** Resolves with the primary, as soon as there is one that accepts writes. */
  primary(): Promise<Member>;
  /** Makes the primary step down; resolves when there is a primary again: another one, or in a set of one the same. */
  stepDown(): Promise<void>;
}

/** Resolves when a primary takes writes and the other members follow it. */
export async function startReplicaSet(options: ReplicaSetOptions): Promise<ReplicaSet> {
  const args = ["--replSet", SET_NAME];
  if (options.oplogSizeMB !== undefined) args.push("--oplogSize", String(options.oplogSizeMB));
  const servers = await startServers(options, options.members, args);
  try {
    if (options.advertise !== undefined) await servers.advertise(options.advertise);
    await servers.command(firstOf(servers), {
      replSetInitiate: {
        _id: SET_NAME,
        members: servers.addresses.map((host, index) => ({ _id: index, host })),
        settings: { electionTimeoutMillis: 2_000, heartbeatIntervalMillis: 500 },
      },
    });
    await stepUp(servers);
    await servers.createRoot(await primaryOf(servers));
    await servers.waitForHello("secondaries", (answers) =>
      answers.every((answer) => answer?.["isWritablePrimary"] || answer?.["secondary"]),
    );
  } catch (error) {
    await servers.stop();
    throw error;
  }
  return {
    ...handleOf(servers, `replicaSet=${SET_NAME}`),
    primary: () => primaryOf(servers),
    stepDown: () => stepDown(servers),
  };
}

/** Starts a server without a replica set: it has no change streams and no snapshot reads. */
export async function startStandalone(options: ServerOptions = {}): Promise<Standalone> {
  const servers = await startServers(options, 1, []);
  try {
    await servers.createRoot(firstOf(servers));
  } catch (error) {
    await servers.stop();
    throw error;
  }
  return handleOf(servers, "directConnection=true");
}

function handleOf(servers: Servers, query: string): Standalone {
  const [, ...others] = servers.members;
  return {
    uri: servers.uri(query, true),
    uriWithoutCredentials: servers.uri(query, false),
    members: [firstOf(servers), ...others],
    version: servers.version,
    caFile: servers.caFile,
    stop: () => servers.stop(),
    [Symbol.asyncDispose]: () => servers.stop(),
  };
}

function firstOf(servers: Servers): Member {
  const first = servers.members[0];
  if (first === undefined) throw new Error("a set has at least one member");
  return first;
}

async function primaryOf(servers: Servers): Promise<Member> {
  let primary: Member | undefined;
  await servers.waitForHello("primary", (answers) => {
    primary = servers.members[answers.findIndex((answer) => answer?.["isWritablePrimary"])];
    return primary !== undefined;
  });
  if (primary === undefined) throw new Error("unreachable: waitForHello() resolves when there is one");
  return primary;
}

/** Makes the first member primary at once, without waiting for the election timeout of a new set. */
async function stepUp(servers: Servers): Promise<void> {
  if (servers.members.length === 1) return;
  // The others vote once they have the configuration. If that fails, the set elects after its timeout.
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const vote = servers.command(firstOf(servers), { replSetStepUp: 1, skipDryRun: true });
    const isElected = await vote.then(
      () => true,
      () => false,
    );
    if (isElected) return;
    await sleep(20);
  }
}

async function stepDown(servers: Servers): Promise<void> {
  const old = await primaryOf(servers);
  // A set of one cannot elect another: it may be primary again as soon as its freeze is lifted.
  const isAlone = servers.members.length === 1;
  await steppedDown(servers, old, {
    replSetStepDown: isAlone ? 1 : 10,
    secondaryCatchUpPeriodSecs: isAlone ? 0 : 1,
    force: isAlone,
  });
  if (isAlone) await servers.command(old, { replSetFreeze: 0 });
  await primaryOf(servers);
}

/** `ExceededTimeLimit`: no secondary has caught up yet, as after another election, or on a busy machine. */
const NO_SECONDARY_CAUGHT_UP = 262;

async function steppedDown(servers: Servers, primary: Member, command: Document): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await servers.command(primary, command);
      return;
    } catch (error) {
      if (attempt === 30 || !(error instanceof MongoServerError && error.code === NO_SECONDARY_CAUGHT_UP)) throw error;
      await sleep(500);
    }
  }
}
