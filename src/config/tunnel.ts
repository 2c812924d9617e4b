/** Whether a run connects through ssh, and how it logs in there: from flags, variables, and what a config file says. */

import { MongotapError } from "../errors.ts";
import { readSecretFile } from "./config-file.ts";
import type { TunnelRequest } from "./endpoint.ts";
import type { ConfigProblems } from "./faults.ts";
import type { Environment } from "./reading.ts";
import type { RawSetting } from "./server-choice.ts";
import { parseSshUrl, type SshUrl } from "./values.ts";

/** All that the tunnel has to know; shaped as src/connect/tunnel.ts takes it. */
export interface TunnelChoice {
  readonly target: SshUrl;
  readonly login:
    | { readonly kind: "key"; readonly text: string; readonly from: string; readonly passphrase: string | undefined }
    | { readonly kind: "agent"; readonly socket: string };
  /** `SHA256:…` */
  readonly pinnedHostKey: string | undefined;
  /** The file; undefined for the user's own. */
  readonly knownHosts: string | undefined;
}

type SshOption = "ssh" | "sshKey" | "sshPassphrase" | "sshKnownHosts" | "sshHostKey";

export interface TunnelSources {
  /** The highest that is given for a setting. */
  readonly given: (name: SshOption) => RawSetting | undefined;
  /** What an Estuary endpoint says. */
  readonly request: TunnelRequest | undefined;
  readonly env: Environment;
  readonly faults: ConfigProblems;
}

/** Undefined where no tunnel is asked for, and where a fault keeps it from being known. */
export async function chooseTunnel({ given, request, env, faults }: TunnelSources): Promise<TunnelChoice | undefined> {
  const own = given("ssh");
  const at = own ?? request?.sshEndpoint;
  if (at === undefined) {
    const key = given("sshKey");
    if (key?.level === "flag")
      faults.add(key.from, "says how to log in to an ssh server: it takes --ssh", { kind: "usage" });
    return undefined;
  }
  if (own?.level === "file" && request !== undefined) {
    faults.add(request.place, `and ${own.from} both ask for a tunnel: say one of them`);
  }
  const target = parseSshUrl(at.text);
  if (target === undefined) return undefined; // a fault already, where it was read
  const login = await loginOf(given, own === undefined ? request : undefined, env, faults);
  if (login === undefined) return undefined;
  return { target, login, pinnedHostKey: given("sshHostKey")?.text, knownHosts: given("sshKnownHosts")?.text };
}

/** What of it must never be printed. */
export function secretsOf({ login }: TunnelChoice): string[] {
  if (login.kind === "agent") return [];
  const lines = login.text.split(/\r?\n/).filter((line) => line.length >= 16 && !line.startsWith("-----"));
  return [...lines, ...(login.passphrase === undefined ? [] : [login.passphrase])];
}

async function loginOf(
  given: TunnelSources["given"],
  request: TunnelRequest | undefined,
  env: Environment,
  faults: ConfigProblems,
): Promise<TunnelChoice["login"] | undefined> {
  const passphrase = given("sshPassphrase")?.text;
  const file = given("sshKey");
  if (request !== undefined && (file === undefined || file.level === "file")) {
    const key = request.privateKey;
    return key === undefined ? undefined : { kind: "key", text: key.text, from: key.from, passphrase };
  }
  if (file !== undefined) {
    const from = `${file.from} ${file.text}`;
    const text = await readKeyFile(file.text, from, faults);
    return text === undefined ? undefined : { kind: "key", text, from, passphrase };
  }
  const socket = env["SSH_AUTH_SOCK"] ?? "";
  if (socket !== "") return { kind: "agent", socket };
  const { from, level } = given("ssh") ?? { from: "--ssh", level: "flag" };
  const message = "takes a key as well: --ssh-key FILE, or an agent (SSH_AUTH_SOCK)";
  return level === "flag" ? faults.add(from, message, { kind: "usage" }) : faults.add(from, message);
}

async function readKeyFile(path: string, from: string, faults: ConfigProblems): Promise<string | undefined> {
  try {
    return await readSecretFile(path, from);
  } catch (error) {
    if (!(error instanceof MongotapError)) throw error;
    return faults.add(error.message, "", { kind: error.kind, hint: error.hint });
  }
}
