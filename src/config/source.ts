/** The connection string of a run: from the server that was chosen, and what is told apart from it. */

import {
  type ConnectionString,
  parseConnectionString,
  type SeparateCredentials,
} from "../connect/connection-string.ts";
import { MongotapError } from "../errors.ts";
import { readSecretFile } from "./config-file.ts";
import type { Settings } from "./options.ts";
import type { RawSetting, ServerChoice } from "./server-choice.ts";

/** @throws MongotapError `config` for an unreadable or too readable file, and for a string that cannot be used */
export async function connectionStringOf({ server }: Pick<Settings, "server">): Promise<ConnectionString> {
  const { kind, at, compressors } = server;
  const apart = { ...(await loginOf(server)), ...(compressors === undefined ? {} : { compressors }) };
  switch (kind) {
    case "uri":
      return parseConnectionString(at.text, at.from, apart);
    case "uriFile": {
      const from = named(at);
      return parseConnectionString(await readSecretFile(at.text, from), from, apart);
    }
    case "address":
      return parseConnectionString(uriOf(at.text), at.from, apart);
  }
}

async function loginOf({ user, password, passwordFile }: ServerChoice): Promise<SeparateCredentials> {
  const login: SeparateCredentials = user === undefined ? {} : { user };
  if (password !== undefined) return { ...login, password };
  if (passwordFile === undefined) return login;
  const from = named(passwordFile);
  const text = await readSecretFile(passwordFile.text, from);
  if (text === "") throw new MongotapError("config", `${from} is empty`);
  return { ...login, password: { text, from } };
}

/** As Estuary reads an address: the scheme may be missing, and a path means nothing. */
function uriOf(address: string): string {
  const text = address.trim();
  const uri = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `mongodb://${text}`;
  const [, server = uri, , query = ""] = /^([^/]*\/\/[^/?]*)(\/[^?]*)?(\?.*)?$/.exec(uri) ?? [];
  return `${server}/${query}`;
}

function named({ from, text }: RawSetting): string {
  return `${from} ${text}`;
}
