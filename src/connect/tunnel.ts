/**
 * An ssh connection that leads the driver to every member of a cluster, by the names that the members have there: TLS
 * verifies these, and a change of the primary is followed. When the connection dies, the next request dials again.
 */

import { isIPv6 } from "node:net";
import type { Duplex } from "node:stream";

import { MongotapError } from "../errors.ts";
import { sleep } from "../lib/async.ts";
import { hostKeyCheck } from "./host-key.ts";
import { startSocksProxy, type ProxyOptions } from "./socks-proxy.ts";
import { usableKey } from "./ssh-key.ts";
import { dial, type DialOptions, type SshSession, type SshTarget, sshUrl } from "./ssh-session.ts";

export interface TunnelOptions {
  readonly target: SshTarget;
  readonly login:
    | { readonly kind: "key"; readonly text: string; readonly from: string; readonly passphrase: string | undefined }
    | { readonly kind: "agent"; readonly socket: string };
  readonly pinnedHostKey: string | undefined;
  readonly knownHosts: string | undefined;
  readonly signal: AbortSignal;
  readonly onWarning: (message: string) => void;
  /** Default: 15 s. */
  readonly keepaliveMs?: number;
}

export interface Tunnel extends AsyncDisposable {
  /** For the driver. */
  readonly proxyOptions: ProxyOptions;
  /** `ssh://user@host:port`. */
  readonly shown: string;
  /** Type, fingerprint, and who says that it is right. */
  readonly hostKey: string;
  /** Why the last request led nowhere; undefined where it did not. */
  readonly failure: MongotapError | undefined;
  /** From now on it leads to these `host:port`, and nowhere else. */
  setAllowedHosts(addresses: Iterable<string>): void;
}

const KEEPALIVE_MS = 15_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/**
 * Dials, and opens the door. Members are not reached before `leadTo()` has named them.
 * @throws MongotapError `connect`, `auth`, `config` or `unsupported`. The signal's reason when that aborts first.
 */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  const { target, signal, onWarning } = options;
  const hostKey = await hostKeyCheck({ ...target, pinned: options.pinnedHostKey, knownHosts: options.knownHosts });
  const closing = new AbortController();
  const dialOptions: DialOptions = {
    target,
    hostKey,
    login: await loginOf(options),
    keepaliveMs: options.keepaliveMs ?? KEEPALIVE_MS,
    signal: AbortSignal.any([signal, closing.signal]),
  };
  const line = new ReconnectingSession(dialOptions, onWarning);
  await line.session();

  let allowed: ReadonlySet<string> = new Set();
  const way = routeThrough(line, onWarning);
  const door = await startSocksProxy({
    isAllowed: (host, port) => allowed.has(idOf(host, port)),
    open: way.open,
    onRefused: (message) => way.warnOnce("door", message),
  });
  return {
    proxyOptions: door.proxyOptions,
    shown: sshUrl(target),
    get hostKey() {
      return hostKey.shown;
    },
    get failure() {
      return way.failure;
    },
    setAllowedHosts(addresses) {
      allowed = new Set([...addresses].map(idOfAddress).filter((id) => !isLinkLocal(id)));
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new Error("the tunnel is closed"));
      line.end();
      await door[Symbol.asyncDispose]();
    },
  };
}

interface TunnelRoute {
  readonly failure: MongotapError | undefined;
  readonly open: (host: string, port: number) => Promise<Duplex>;
  /** Once for each message about something: a member that is down is asked for again and again. */
  readonly warnOnce: (about: string, message: string) => void;
}

function routeThrough(line: ReconnectingSession, onWarning: (message: string) => void): TunnelRoute {
  let failure: MongotapError | undefined;
  const told = new Map<string, string>();
  const tell = (about: string, message: string): void => {
    if (told.get(about) === message) return;
    told.set(about, message);
    onWarning(message);
  };
  return {
    warnOnce: tell,
    get failure() {
      return failure;
    },
    async open(host, port) {
      try {
        const way = await (await line.session()).forward(host, port);
        failure = undefined;
        told.delete(idOf(host, port));
        return way;
      } catch (error) {
        if (error instanceof MongotapError) {
          failure = error;
          tell(idOf(host, port), error.message);
        }
        throw error;
      }
    },
  };
}

async function loginOf({ login }: TunnelOptions): Promise<DialOptions["login"]> {
  if (login.kind === "agent") return { agent: login.socket };
  return { key: await usableKey(login, login.passphrase) };
}

/** The one session that lives, and how there is another one when it dies. */
class ReconnectingSession {
  readonly #options: DialOptions;
  readonly #onWarning: (message: string) => void;
  #session: Promise<SshSession> | undefined;
  #waitMs = 0;
  #isEnded = false;

  constructor(options: DialOptions, onWarning: (message: string) => void) {
    this.#options = options;
    this.#onWarning = onWarning;
  }

  /** The session, dialled by the first who asks; waits a little before dialling again after a failure. */
  session(): Promise<SshSession> {
    this.#session ??= this.#dial();
    return this.#session;
  }

  end(): void {
    this.#isEnded = true;
    void this.#session?.then(
      (session) => session.end(),
      () => undefined, // there is nothing to end
    );
  }

  async #dial(): Promise<SshSession> {
    try {
      if (this.#waitMs > 0) await sleep(this.#waitMs, this.#options.signal);
      const session = await dial(this.#options);
      if (this.#waitMs > 0) this.#onWarning(`${sshUrl(this.#options.target)} is connected again`);
      this.#waitMs = 0;
      void session.ended.then((reason) => {
        this.#session = undefined;
        this.#waitMs = FIRST_WAIT_MS;
        if (!this.#isEnded) this.#onWarning(`the tunnel through ${sshUrl(this.#options.target)} broke: ${reason}`);
      });
      return session;
    } catch (error) {
      this.#session = undefined;
      this.#waitMs = Math.min(LONGEST_WAIT_MS, Math.max(FIRST_WAIT_MS, this.#waitMs * 2));
      throw error;
    }
  }
}

/** One text for each place, however it is written. */
function idOf(host: string, port: number): string {
  const name = isIPv6(host) ? new URL(`http://[${host}]`).hostname : host.toLowerCase();
  return `${name}:${port}`;
}

function idOfAddress(address: string): string {
  const [, host = "", port = "27017"] = /^(.*?)(?::(\d+))?$/.exec(address) ?? [];
  return idOf(host.replace(/^\[|\]$/g, ""), Number(port));
}

/** Where clouds keep the credentials of a machine. A cluster has no business there, whatever a server says. */
function isLinkLocal(id: string): boolean {
  return /^169\.254\.|^\[fe[89ab]|^\[::ffff:a9fe:|^\[fd00:ec2::254\]/.test(id);
}
