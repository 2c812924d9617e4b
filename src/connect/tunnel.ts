/**
 * An SSH tunnel through which the driver reaches every member of a cluster by its own name, so that TLS can verify the name
 * and the driver can follow a new primary. After the SSH connection has died the next request connects again.
 */

import { isIPv6 } from "node:net";
import type { Duplex } from "node:stream";

import { MongotapError } from "../errors.ts";
import { sleep } from "../lib/async.ts";
import { hostKeyCheck } from "./host-key.ts";
import { startSocksProxy, type ProxyOptions } from "./socks-proxy.ts";
import { usableKey } from "./ssh-session.ts";
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
  /** In ms; default: 15,000. */
  readonly keepaliveMs?: number;
}

export interface Tunnel extends AsyncDisposable {
  /** For the driver. */
  readonly proxyOptions: ProxyOptions;
  /** `ssh://user@host:port`, for messages. */
  readonly shown: string;
  /** Type and fingerprint of the host key, and why it is trusted. */
  readonly hostKey: string;
  /** Why the last request failed; undefined after a success. */
  readonly failure: MongotapError | undefined;
  /** Allows connections to these `host:port` and no others. */
  setAllowedHosts(addresses: Iterable<string>): void;
}

const KEEPALIVE_MS = 15_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/**
 * Connects to the SSH server and starts the SOCKS proxy. The proxy refuses every destination until `setAllowedHosts`.
 * @throws MongotapError `connect`, `auth`, `config` or `unsupported`; the signal's reason if that aborts first
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
  const session = new ReconnectingSession(dialOptions, onWarning);
  await session.get();

  let allowed: ReadonlySet<string> = new Set();
  const route = routeThrough(session, onWarning);
  const proxy = await startSocksProxy({
    isAllowed: (host, port) => allowed.has(idOf(host, port)),
    open: route.open,
    onRefused: (message) => route.warnOnce("refused", message),
  });
  return {
    proxyOptions: proxy.proxyOptions,
    shown: sshUrl(target),
    get hostKey() {
      return hostKey.shown;
    },
    get failure() {
      return route.failure;
    },
    setAllowedHosts(addresses) {
      allowed = new Set([...addresses].map(idOfAddress).filter((id) => !isLinkLocal(id)));
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new Error("the tunnel is closed"));
      session.end();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

interface TunnelRoute {
  readonly failure: MongotapError | undefined;
  readonly open: (host: string, port: number) => Promise<Duplex>;
  /** Logs a message unless it repeats the last one about the same subject: the driver retries a member that is down. */
  readonly warnOnce: (subject: string, message: string) => void;
}

function routeThrough(session: ReconnectingSession, onWarning: (message: string) => void): TunnelRoute {
  let failure: MongotapError | undefined;
  const lastWarnings = new Map<string, string>();
  const warnOnce = (subject: string, message: string): void => {
    if (lastWarnings.get(subject) === message) return;
    lastWarnings.set(subject, message);
    onWarning(message);
  };
  return {
    warnOnce,
    get failure() {
      return failure;
    },
    async open(host, port) {
      try {
        const channel = await (await session.get()).forward(host, port);
        failure = undefined;
        lastWarnings.delete(idOf(host, port));
        return channel;
      } catch (error) {
        if (error instanceof MongotapError) {
          failure = error;
          warnOnce(idOf(host, port), error.message);
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

/** Holds one SSH session, and connects again after it has died. */
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

  /** Resolves to the session. Connects if there is none, after a pause if the last connection failed or broke. */
  get(): Promise<SshSession> {
    this.#session ??= this.#dial();
    return this.#session;
  }

  end(): void {
    this.#isEnded = true;
    void this.#session?.then(
      (session) => session.end(),
      () => undefined, // there is no session to end
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

/** One text for each destination, whatever its spelling. */
function idOf(host: string, port: number): string {
  const name = isIPv6(host) ? new URL(`http://[${host}]`).hostname : host.toLowerCase();
  return `${name}:${port}`;
}

function idOfAddress(address: string): string {
  const [, host = "", port = "27017"] = /^(.*?)(?::(\d+))?$/.exec(address) ?? [];
  return idOf(host.replace(/^\[|\]$/g, ""), Number(port));
}

/** Link-local addresses, where clouds serve a machine's credentials (169.254.169.254). No cluster member is there. */
function isLinkLocal(id: string): boolean {
  return /^169\.254\.|^\[fe[89ab]|^\[::ffff:a9fe:|^\[fd00:ec2::254\]/.test(id);
}
