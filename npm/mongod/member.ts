/** One mongod process, which can be killed, suspended and restarted, always with the same port and data. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import type { Mongod } from "./verify.ts";
import { type Release, guardProcess } from "./watchdog.ts";

const START_TIMEOUT_MS = 60_000;

export interface MemberOptions {
  readonly mongod: Mongod;
  readonly port: number;
  /** Holds the data (`db`) and the log (`mongod.log`). */
  readonly folder: string;
  /** Everything but port, paths and address. */
  readonly args: readonly string[];
}

/** Thrown when a mongod ends while it starts; `code` 48 means that the port was taken. */
export class StartError extends Error {
  readonly code: number | null;
  constructor(message: string, code: number | null) {
    super(message);
    this.code = code;
  }
}

export class Member {
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly dbpath: string;
  readonly logpath: string;
  readonly #options: MemberOptions;
  #child: ChildProcess | undefined;
  #exit: Promise<number | null> = Promise.resolve(null);

  constructor(options: MemberOptions) {
    this.#options = options;
    this.port = options.port;
    this.dbpath = join(options.folder, "db");
    this.logpath = join(options.folder, "mongod.log");
  }

  /** `host:port` of this process itself, not of a proxy. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** The process id. Throws while the process is not running. */
  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`mongod on port ${this.port} is not running`);
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** Resolves when the server accepts connections; rejects with the reason from its log when it ends instead. */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`mongod on port ${this.port} is already running`);
    const { mongod, args, port } = this.#options;
    await mkdir(this.dbpath, { recursive: true });
    const own = [
      `--port=${port}`,
      `--dbpath=${this.dbpath}`,
      `--logpath=${this.logpath}`,
      "--logappend",
      "--bind_ip=127.0.0.1",
    ];
    const child = spawn(mongod.path, [...own, ...args], {
      env: { ...process.env, ...mongod.env },
      stdio: "ignore",
      // Its own process group: Ctrl-C at the terminal ends this process, which then stops the servers.
      detached: true,
    });
    const pid = child.pid;
    const release: Release = pid === undefined ? () => undefined : guardProcess(pid);
    child.unref();
    this.#child = child;
    this.#exit = new Promise((resolve) => {
      const end = (code: number | null): void => {
        release();
        if (this.#child === child) this.#child = undefined;
        resolve(code);
      };
      child.once("exit", end).once("error", () => end(null));
    });
    await this.#acceptsConnections();
  }

  async #acceptsConnections(): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (this.isRunning) {
      if (await canConnect(this.port)) return;
      if (Date.now() > deadline) {
        await this.kill();
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new StartError(`mongod on port ${this.port} did not start: ${await this.lastError()}`, await this.#exit);
  }

  /** The last error in the log, or its last line. */
  async lastError(): Promise<string> {
    const lines = (await readFile(this.logpath, "utf8").catch(() => "no log")).trim().split("\n");
    return lines.findLast((line) => /"s":"[EF]"/.test(line)) ?? lines.at(-1) ?? "empty log";
  }

  /** Sends `signal` and, if it ends the process, resolves when it has ended. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.ref();
    process.kill(this.pid, signal);
    if (signal === "SIGKILL") {
      await this.#exit;
      return;
    }
    // A suspended server handles the signal only after SIGCONT.
    if (signal === "SIGTERM" || signal === "SIGINT") {
      process.kill(this.pid, "SIGCONT");
      await this.#exit;
    }
  }

  /** Shuts down cleanly (SIGTERM). The data stays for `restart()`. */
  async stop(): Promise<void> {
    await this.kill("SIGTERM");
  }

  /** Starts the server again on the same port with the same data, after stopping it if it runs. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Freezes the process (SIGSTOP): its sockets stay open and get no answer. */
  suspend(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  /** Resumes a suspended process (SIGCONT). */
  resume(): void {
    process.kill(this.pid, "SIGCONT");
  }
}

async function canConnect(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });
}
