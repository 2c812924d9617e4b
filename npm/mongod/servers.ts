/** The processes of one set (or one standalone server) in a temporary folder of their own, and commands to them. */
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Document, MongoClient } from "mongodb";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { type FindOptions, findMongod } from "./find.ts";
import { Member, StartError } from "./member.ts";
import { freePort } from "./ports.ts";
import type { Mongod } from "./verify.ts";
import { type Release, guardFolder } from "./watchdog.ts";

export interface ServerOptions {
  /** Exactly this version of the server; default: whatever `findMongod` finds first. */
  readonly version?: string | undefined;
  /** Access control on, with one root user of this name (SCRAM-SHA-256). */
  readonly auth?: { readonly user: string; readonly password: string } | undefined;
  /** TLS required, with a CA of its own (`caFile`). `wrongHost`: a certificate for another host than loopback. */
  readonly tls?: boolean | { readonly wrongHost?: boolean } | undefined;
  /** Further `--setParameter`s. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** Cache of each member in GB; default 0.25. */
  readonly cacheGB?: number | undefined;
  /** Seconds between checkpoints. With `syncdelay: 1` and `oplogSizeMB: 1` history is lost within two seconds of writes. */
  readonly syncdelay?: number | undefined;
  /** The port of the first member, the others follow it; default: free ones. */
  readonly port?: number | undefined;
  /** Where to look for a mongod. */
  readonly find?: FindOptions | undefined;
}

const READY_TIMEOUT_MS = 60_000;
/** mongod's exit code when its port is taken. */
const PORT_TAKEN = 48;

const PARAMETERS: Readonly<Record<string, string>> = {
  enableTestCommands: "1",
  // No test reads these statistics, which the server writes each second.
  diagnosticDataCollectionEnabled: "false",
  // On SIGTERM a primary waits this long (ms) for its clients to disconnect.
  shutdownTimeoutMillisForSignaledShutdown: "100",
};

interface Parts {
  readonly folder: string;
  readonly releaseFolder: Release;
  readonly members: readonly Member[];
  readonly mongod: Mongod;
  readonly options: ServerOptions;
  readonly certificates: Certificates | undefined;
}

/** Starts `count` independent processes. Resolves when all accept connections. */
export async function startServers(options: ServerOptions, count: number, args: readonly string[]): Promise<Servers> {
  const mongod = await findMongod({ ...options.find, version: options.version });
  const folder = await mkdtemp(join(tmpdir(), "mongotap-mongod-"));
  const releaseFolder = guardFolder(folder);
  const members: Member[] = [];
  let certificates: Certificates | undefined;
  try {
    if (options.tls) certificates = await makeCertificates(folder, options.tls === true ? {} : options.tls);
    const all = [...args, ...(await commonArgs(options, folder, certificates))];
    const starts = Array.from({ length: count }, async (_, index) => {
      members[index] = await startMember(
        { mongod, args: all, folder: join(folder, String(index)) },
        options.port,
        index,
      );
    });
    const failed = (await Promise.allSettled(starts)).find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return new Servers({ folder, releaseFolder, members, mongod, options, certificates });
  } catch (error) {
    await new Servers({ folder, releaseFolder, members, mongod, options, certificates }).stop();
    throw error;
  }
}

async function commonArgs(
  options: ServerOptions,
  folder: string,
  certificates: Certificates | undefined,
): Promise<string[]> {
  // A killed server would leave a socket file behind.
  const args = ["--nounixsocket", "--wiredTigerCacheSizeGB", String(options.cacheGB ?? 0.25)];
  for (const [name, value] of Object.entries({ ...PARAMETERS, ...options.parameters }))
    args.push("--setParameter", `${name}=${value}`);
  if (options.syncdelay !== undefined) args.push("--syncdelay", String(options.syncdelay));
  if (options.auth !== undefined) {
    const keyFile = join(folder, "key");
    await writeFile(keyFile, randomBytes(48).toString("base64"), { mode: 0o600 });
    args.push("--auth", "--keyFile", keyFile);
  }
  if (certificates !== undefined) {
    args.push(
      "--tlsMode",
      "requireTLS",
      "--tlsCertificateKeyFile",
      certificates.serverFile,
      "--tlsCAFile",
      certificates.caFile,
    );
    // Clients have no certificate, and members may have one for another host.
    args.push("--tlsAllowConnectionsWithoutCertificates", "--tlsAllowInvalidHostnames");
  }
  return args;
}

async function startMember(
  options: { mongod: Mongod; args: readonly string[]; folder: string },
  firstPort: number | undefined,
  index: number,
): Promise<Member> {
  await mkdir(options.folder, { recursive: true });
  for (let attempt = 1; ; attempt += 1) {
    const member = new Member({ ...options, port: firstPort === undefined ? await freePort() : firstPort + index });
    try {
      await member.start();
      return member;
    } catch (error) {
      // Another process was faster to take the port.
      const mayRetry = error instanceof StartError && error.code === PORT_TAKEN && firstPort === undefined;
      if (!mayRetry || attempt === 5) throw error;
    }
  }
}

/** Started by `startServers`. */
export class Servers {
  readonly #parts: Parts;
  #advertised: readonly string[] | undefined;
  #hasUser = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get members(): readonly Member[] {
    return this.#parts.members;
  }

  get version(): string {
    return this.#parts.mongod.version;
  }

  get caFile(): string | undefined {
    return this.#parts.certificates?.caFile;
  }

  /** `host:port` of the members in the configuration of the set. */
  get addresses(): readonly string[] {
    return this.#advertised ?? this.members.map((member) => member.address);
  }

  /** Changes the ports that the members have in the configuration of the set. */
  async advertise(portOf: (port: number) => Promise<number>): Promise<void> {
    this.#advertised = await Promise.all(this.members.map(async ({ host, port }) => `${host}:${await portOf(port)}`));
  }

  /** A URI for clients; `query` is what follows the question mark. */
  uri(query: string, withCredentials: boolean, addresses = this.addresses): string {
    const { auth } = this.#parts.options;
    const parameters = [query];
    if (this.caFile !== undefined) parameters.push("tls=true", `tlsCAFile=${encodeURIComponent(this.caFile)}`);
    let login = "";
    if (auth !== undefined && withCredentials) {
      login = `${encodeURIComponent(auth.user)}:${encodeURIComponent(auth.password)}@`;
      parameters.push("authSource=admin", "authMechanism=SCRAM-SHA-256");
    }
    return `mongodb://${login}${addresses.join(",")}/?${parameters.join("&")}`;
  }

  /** Sends one command to the database `admin` of exactly this member. */
  async command(member: Member, command: Document): Promise<Document> {
    const client = new MongoClient(this.uri("directConnection=true", this.#hasUser, [member.address]), {
      serverSelectionTimeoutMS: 3_000,
      connectTimeoutMS: 3_000,
      ...(this.caFile === undefined ? {} : { tlsAllowInvalidHostnames: true }),
    });
    try {
      return await client.db("admin").command(command);
    } finally {
      await client.close();
    }
  }

  /** Creates the root user, which the localhost exception of MongoDB allows as long as there is no user. */
  async createRoot(primary: Member): Promise<void> {
    const { auth } = this.#parts.options;
    if (auth === undefined) return;
    await this.command(primary, {
      createUser: auth.user,
      pwd: auth.password,
      roles: ["root"],
      mechanisms: ["SCRAM-SHA-256"],
      writeConcern: { w: this.members.length },
    });
    this.#hasUser = true;
  }

  /** Sends `hello` to each running member until `isReady` accepts the replies; a missing reply is `undefined`. */
  async waitForHello(what: string, isReady: (answers: readonly (Document | undefined)[]) => boolean): Promise<void> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    for (;;) {
      const answers = await Promise.all(
        this.members.map(async (member) =>
          member.isRunning ? await this.command(member, { hello: 1 }).catch(() => undefined) : undefined,
        ),
      );
      if (isReady(answers)) return;
      if (Date.now() > deadline) {
        const logs = await Promise.all(this.members.map((member) => member.lastError()));
        throw new Error(`no ${what} after ${READY_TIMEOUT_MS / 1000} s; the logs end with:\n${logs.join("\n")}`);
      }
      await sleep(20);
    }
  }

  /** Kills every process and removes all files. Safe to call twice. */
  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill("SIGKILL")));
    await rm(this.#parts.folder, { recursive: true, force: true, maxRetries: 5 });
    this.#parts.releaseFolder();
  }
}
