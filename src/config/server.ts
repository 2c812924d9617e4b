/** The server of a run: which of several ways to name it wins, who logs in there, and its connection string. */

import {
  type ConnectionString,
  parseConnectionString,
  type SeparateCredentials,
} from "../connect/connection-string.ts";
import { MongotapError } from "../errors.ts";
import { readSecretFile } from "./files.ts";
import type { Level, RawSetting } from "./setting.ts";

export interface ServerChoice {
  readonly kind: "uri" | "uriFile" | "address";
  readonly at: RawSetting;
  readonly user?: RawSetting;
  readonly password?: RawSetting;
  readonly passwordFile?: RawSetting;
  readonly compressors?: RawSetting;
}

const LEVELS: readonly Level[] = ["flag", "env", "file"];
const SERVERS = ["uri", "uriFile", "address"] as const;
const PASSWORDS = ["password", "passwordFile"] as const;

type ServerOption = (typeof SERVERS)[number] | (typeof PASSWORDS)[number] | "user" | "compressors";

export interface ServerSources {
  /** All values given for one setting, in any order. */
  readonly given: (name: ServerOption) => readonly RawSetting[];
  /** The connection string if no server is named. */
  readonly fallback: string;
  /** Called when one level names two servers or two passwords. */
  readonly onProblem: (message: string) => void;
  /** Called when a server or a login of the config file is not used. */
  readonly onNote: (message: string) => void;
}

/**
 * Chooses the server of the highest level, and its login. The login of a config file belongs to the server of that file:
 * it is never sent to a server that a flag or a variable names.
 */
export function chooseServer({ given, fallback, onProblem, onNote }: ServerSources): ServerChoice {
  const top = <N extends ServerOption>(names: readonly N[], what: string): Found<N> | undefined =>
    highest(names, given, (both) => onProblem(`${both} both ${what}: say one of them`));
  const server = top(SERVERS, "name the server");
  const kind = server?.name ?? "uri";
  const at = server?.setting ?? { text: fallback, from: "the default of --uri", level: "default" };
  const password = top(PASSWORDS, "give the password");
  const user = top(["user"], "")?.setting;
  const compressors = top(["compressors"], "")?.setting;
  const isOfOtherServer = (login: RawSetting | undefined): boolean =>
    login?.level === "file" && (at.level === "flag" || at.level === "env");
  if (isOfOtherServer(user) || isOfOtherServer(password?.setting)) {
    onNote(`${at.from} names another server than the config file: user and password of the file are not used for it`);
  } else if (at.level === "env" && SERVERS.some((name) => given(name).some(({ level }) => level === "file"))) {
    onNote(`${at.from} names the server: the one in the config file is not used`);
  }
  return {
    kind,
    at,
    ...(user === undefined || isOfOtherServer(user) ? {} : { user }),
    ...(password === undefined || isOfOtherServer(password.setting) ? {} : { [password.name]: password.setting }),
    ...(compressors === undefined ? {} : { compressors }),
  };
}

interface Found<N> {
  readonly name: N;
  readonly setting: RawSetting;
}

/** The value of the highest level that has one. Calls `onSeveral` with their origins if that level has several. */
function highest<N extends ServerOption>(
  names: readonly N[],
  given: ServerSources["given"],
  onSeveral: (origins: string) => void,
): Found<N> | undefined {
  for (const level of LEVELS) {
    const found = names.flatMap((name) =>
      given(name)
        .filter((setting) => setting.level === level)
        .map((setting) => ({ name, setting })),
    );
    if (found.length > 1) onSeveral(found.map(({ setting }) => setting.from).join(" and "));
    if (found[0] !== undefined) return found[0];
  }
  return undefined;
}

/** @throws MongotapError `config` for a file that is unreadable or readable by others, and for an invalid string */
export async function connectionStringOf({ server }: { readonly server: ServerChoice }): Promise<ConnectionString> {
  const { kind, at, compressors } = server;
  const separate = { ...(await loginOf(server)), ...(compressors === undefined ? {} : { compressors }) };
  switch (kind) {
    case "uri":
      return parseConnectionString(at.text, at.from, separate);
    case "uriFile": {
      const from = withText(at);
      return parseConnectionString(await readSecretFile(at.text, from), from, separate);
    }
    case "address":
      return parseConnectionString(uriOf(at.text), at.from, separate);
  }
}

async function loginOf({ user, password, passwordFile }: ServerChoice): Promise<SeparateCredentials> {
  const login: SeparateCredentials = user === undefined ? {} : { user };
  if (password !== undefined) return { ...login, password };
  if (passwordFile === undefined) return login;
  const from = withText(passwordFile);
  const text = await readSecretFile(passwordFile.text, from);
  if (text === "") throw new MongotapError("config", `${from} is empty`);
  return { ...login, password: { text, from } };
}

/** Reads an address as Estuary does: the scheme is optional, and a path is ignored. */
function uriOf(address: string): string {
  const text = address.trim();
  const uri = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `mongodb://${text}`;
  const [, server = uri, , query = ""] = /^([^/]*\/\/[^/?]*)(\/[^?]*)?(\?.*)?$/.exec(uri) ?? [];
  return `${server}/${query}`;
}

/** `--uri-file FILE` */
function withText({ from, text }: RawSetting): string {
  return `${from} ${text}`;
}
