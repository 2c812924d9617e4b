/** Whether a run connects through ssh, and how it logs in there. */

import { readSecretFile } from "./files.ts";
import type { TunnelRequest } from "./endpoint.ts";
import type { ConfigProblems } from "./problems.ts";
import type { Environment } from "./config-reader.ts";
import type { RawSetting } from "./setting.ts";
import { parseSshUrl, type SshUrl } from "./value-schemas.ts";

/** The settings of the tunnel, in the shape that connect/tunnel.ts takes. */
export interface TunnelChoice {
  readonly target: SshUrl;
  readonly login:
    | { readonly kind: "key"; readonly text: string; readonly from: string; readonly passphrase: string | undefined }
    | { readonly kind: "agent"; readonly socket: string };
  /** `SHA256:…` */
  readonly pinnedHostKey: string | undefined;
  /** The path of the file; undefined for `~/.ssh/known_hosts`. */
  readonly knownHosts: string | undefined;
}

type SshOption = "ssh" | "sshKey" | "sshPassphrase" | "sshKnownHosts" | "sshHostKey";

export interface TunnelSources {
  /** The value of the highest level that has one. */
  readonly given: (name: SshOption) => RawSetting | undefined;
  /** The tunnel of an Estuary endpoint config. */
  readonly request: TunnelRequest | undefined;
  readonly env: Environment;
  readonly problems: ConfigProblems;
}

/** Undefined if there is no tunnel, and if a problem was found. */
export async function chooseTunnel({
  given,
  request,
  env,
  problems,
}: TunnelSources): Promise<TunnelChoice | undefined> {
  const own = given("ssh");
  const at = own ?? request?.sshEndpoint;
  if (at === undefined) {
    const key = given("sshKey");
    if (key?.level === "flag")
      problems.add(key.from, "says how to log in to an ssh server: it takes --ssh", { kind: "usage" });
    return undefined;
  }
  if (own?.level === "file" && request !== undefined) {
    problems.add(request.location, `and ${own.from} both ask for a tunnel: say one of them`);
  }
  const target = parseSshUrl(at.text);
  if (target === undefined) return undefined; // The reader of the value has added the problem.
  const login = await loginOf(given, own === undefined ? request : undefined, env, problems);
  if (login === undefined) return undefined;
  return { target, login, pinnedHostKey: given("sshHostKey")?.text, knownHosts: given("sshKnownHosts")?.text };
}

/** The texts that must never be printed: the lines of the private key, and its passphrase. */
export function secretsOf({ login }: TunnelChoice): string[] {
  if (login.kind === "agent") return [];
  const lines = login.text.split(/\r?\n/).filter((line) => line.length >= 16 && !line.startsWith("-----"));
  return [...lines, ...(login.passphrase === undefined ? [] : [login.passphrase])];
}

async function loginOf(
  given: TunnelSources["given"],
  request: TunnelRequest | undefined,
  env: Environment,
  problems: ConfigProblems,
): Promise<TunnelChoice["login"] | undefined> {
  const passphrase = given("sshPassphrase")?.text;
  const file = given("sshKey");
  if (request !== undefined && (file === undefined || file.level === "file")) {
    const key = request.privateKey;
    return key === undefined ? undefined : { kind: "key", text: key.text, from: key.from, passphrase };
  }
  if (file !== undefined) {
    const from = `${file.from} ${file.text}`;
    const text = await readKeyFile(file.text, from, problems);
    return text === undefined ? undefined : { kind: "key", text, from, passphrase };
  }
  const socket = env["SSH_AUTH_SOCK"] ?? "";
  if (socket !== "") return { kind: "agent", socket };
  const { from, level } = given("ssh") ?? { from: "--ssh", level: "flag" };
  const message = "takes a key as well: --ssh-key FILE, or an agent (SSH_AUTH_SOCK)";
  return level === "flag" ? problems.add(from, message, { kind: "usage" }) : problems.add(from, message);
}

async function readKeyFile(path: string, from: string, problems: ConfigProblems): Promise<string | undefined> {
  try {
    return await readSecretFile(path, from);
  } catch (error) {
    return problems.addError(error);
  }
}
