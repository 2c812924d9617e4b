/** One SSH connection, from connecting to its end. */

import type { Duplex } from "node:stream";
import type ssh2 from "ssh2";
import type { Client, ConnectConfig, ParsedKey, PublicKeyAuthMethod } from "ssh2";
import { messageOf, MongotapError } from "../errors.ts";
import type { HostKeyCheck } from "./host-key.ts";

export interface SshTarget {
  readonly user: string;
  readonly host: string;
  readonly port: number;
}

export interface DialOptions {
  readonly target: SshTarget;
  readonly hostKey: HostKeyCheck;
  /** A private key, or the socket of an agent. */
  readonly login: { readonly key: ParsedKey } | { readonly agent: string };
  /** The interval of keepalives, in ms. The connection is dead after three without an answer. */
  readonly keepaliveMs: number;
  readonly signal: AbortSignal;
}

export interface SshSession {
  /** Opens a `direct-tcpip` channel (RFC 4254, 7.2) to a host that the SSH server can reach. */
  forward(host: string, port: number): Promise<Duplex>;
  /** Resolves with the reason when the connection has ended. Never rejects. */
  readonly ended: Promise<string>;
  end(): void;
}

const READY_MS = 20_000;
const KEEPALIVES = 3;

/** The SSH server as a URL, for messages. */
export function sshUrl({ user, host, port }: SshTarget): string {
  return `ssh://${user}@${host.includes(":") ? `[${host}]` : host}${port === 22 ? "" : `:${port}`}`;
}

/**
 * Connects, then verifies the host key, then logs in.
 * @throws MongotapError `connect` if the server cannot be reached, `auth` if its host key is not trusted or it refuses the
 *   login; the signal's reason if that aborts first
 */
export async function dial(options: DialOptions): Promise<SshSession> {
  const { target, signal } = options;
  signal.throwIfAborted();
  const { Client: SshClient } = await loadSsh2();
  const client = new SshClient();
  const ended = Promise.withResolvers<string>();
  let reason = "it was closed";
  const ready = Promise.withResolvers<void>();
  const onAbort = (): void => ready.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  let refusal: MongotapError | undefined;
  let agentError: Error | undefined;
  client.on("error", (error: Error & { level?: string }) => {
    // Without a listener an error would end the process. More errors may follow, even long after the end.
    reason = error.message;
    if (error.level === "agent") agentError = error;
    else ready.reject(refusal ?? loginError(error, agentError, options));
  });
  client.on("close", () => {
    ready.reject(refusal ?? new MongotapError("connect", `${sshUrl(target)} closed the connection: ${reason}`));
    ended.resolve(reason);
  });
  client.on("ready", () => ready.resolve());
  try {
    client.connect(configOf(options, (key) => (refusal = options.hostKey.refusal(key)) === undefined));
    await ready.promise;
  } catch (error) {
    client.destroy();
    throw error instanceof MongotapError || signal.aborted ? error : loginError(error, agentError, options);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  return {
    ended: ended.promise,
    forward: (host, port) => forward(client, target, host, port),
    end: () => client.end(),
  };
}

function configOf(
  { target, hostKey, login, keepaliveMs }: DialOptions,
  hostVerifier: (key: Buffer) => boolean,
): ConnectConfig {
  const config: ConnectConfig = {
    host: target.host,
    port: target.port,
    username: target.user,
    hostVerifier,
    readyTimeout: READY_MS,
    keepaliveInterval: keepaliveMs,
    keepaliveCountMax: KEEPALIVES,
  };
  if (hostKey.algorithms !== undefined) config.algorithms = { serverHostKey: [...hostKey.algorithms] };
  if ("agent" in login) return { ...config, agent: login.agent, authHandler: ["agent"] };
  const byKey: PublicKeyAuthMethod = { type: "publickey", username: target.user, key: login.key };
  return { ...config, authHandler: [byKey] };
}

function loginError(error: unknown, agentError: Error | undefined, { target, login }: DialOptions): MongotapError {
  const level = error instanceof Error && "level" in error ? error.level : "";
  const message = messageOf(error);
  if (level === "client-authentication") {
    if (agentError !== undefined) {
      return new MongotapError("auth", `cannot log in to ${sshUrl(target)}: the agent does not answer`, {
        hint: "Check SSH_AUTH_SOCK (ssh-add -l), or name a key: --ssh-key FILE.",
        cause: agentError,
      });
    }
    const what = "agent" in login ? "none of the agent's keys is" : "the key is not";
    return new MongotapError("auth", `cannot log in to ${sshUrl(target)}: ${what} accepted`, {
      hint: "The public key must stand in ~/.ssh/authorized_keys of that user on that host.",
      cause: error,
    });
  }
  const hint = /no matching/i.test(message)
    ? "The server and mongotap know no common algorithm: let it offer aes128-gcm@openssh.com or aes256-ctr, and a host key of a known type."
    : "Check host, port and network of the ssh server (--ssh, networkTunnel).";
  return new MongotapError("connect", `cannot reach ${sshUrl(target)}: ${message}`, { hint, cause: error });
}

async function forward(client: Client, target: SshTarget, host: string, port: number): Promise<Duplex> {
  const opened = Promise.withResolvers<Duplex>();
  try {
    client.forwardOut("127.0.0.1", 0, host, port, (error, channel) => {
      if (error) opened.reject(error);
      else opened.resolve(channel);
    });
    return await opened.promise;
  } catch (error) {
    throw channelError(error, target, `${host}:${port}`);
  }
}

/** SSH_OPEN_ADMINISTRATIVELY_PROHIBITED: RFC 4254, 5.1. */
const PROHIBITED = 1;

function channelError(error: unknown, target: SshTarget, member: string): MongotapError {
  const isProhibited = error instanceof Error && "reason" in error && error.reason === PROHIBITED;
  const said = messageOf(error).replace(/^\(SSH\) Channel open failure: ?/, "") || "no reason given";
  if (isProhibited) {
    return new MongotapError("connect", `${sshUrl(target)} does not let us through to ${member}: ${said}`, {
      hint: "Its sshd_config must allow that: AllowTcpForwarding, PermitOpen.",
      cause: error,
    });
  }
  return new MongotapError("connect", `${sshUrl(target)} cannot reach ${member}: ${said}`, {
    hint: "The host of the ssh server must be able to resolve and reach every member by this name.",
    cause: error,
  });
}

/** Loads ssh2 at the first call: that takes a while, and few runs need it. */
export async function loadSsh2(): Promise<typeof ssh2> {
  return (await import("ssh2")).default;
}
