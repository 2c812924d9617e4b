/** One SSH connection, from its private key to its end. */

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
async function loadSsh2(): Promise<typeof ssh2> {
  return (await import("ssh2")).default;
}

export interface PrivateKey {
  readonly text: string;
  /** The setting that names it, such as `--ssh-key id_ed25519`; for messages. */
  readonly from: string;
}

const CONVERT = "Convert it: ssh-keygen -p -f FILE writes the format of OpenSSH.";

/**
 * Parses and decrypts a key. Call it once for each key: decryption is slow by design.
 * @throws MongotapError `config` if it is not a private key or its passphrase is missing or wrong; `unsupported` for a key
 *   that is in a security token
 */
export async function usableKey({ text, from }: PrivateKey, passphrase: string | undefined): Promise<ParsedKey> {
  const key = `${text.replaceAll(/\r\n?/g, "\n").trim()}\n`; // pasted keys may lack the last newline, or have CRLF
  const { utils } = await loadSsh2();
  const parsed = utils.parseKey(key, passphrase);
  if (parsed instanceof Error) throw unusableKey(parsed, from, passphrase !== undefined);
  if (parsed.isPrivateKey()) return parsed;
  throw new MongotapError("config", `${from} is a public key, not a private one`, {
    hint: "The private key is in the file of the same name without .pub.",
  });
}

function unusableKey({ message }: Error, from: string, hasPassphrase: boolean): MongotapError {
  if (/no passphrase given/i.test(message)) {
    return new MongotapError("config", `${from} is encrypted, and there is no passphrase`, {
      hint: "Set MONGOTAP_SSH_PASSPHRASE, or use an agent (ssh-add) and leave the key out.",
    });
  }
  if (hasPassphrase && /passphrase|bad decrypt|unable to authenticate|malformed|final block/i.test(message)) {
    return new MongotapError("config", `${from}: the passphrase is wrong`, { hint: "Check MONGOTAP_SSH_PASSPHRASE." });
  }
  const [, token] = /type: (sk-\S+)/.exec(message) ?? [];
  if (token !== undefined) {
    return new MongotapError("unsupported", `${from} is a key of a security token (${token})`, {
      hint: "Use an ed25519, ECDSA or RSA key.",
    });
  }
  return new MongotapError("config", `${from} is not a private key that can be used: ${message}`, { hint: CONVERT });
}
