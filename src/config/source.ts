/** The connection string of a run: from the server that was chosen, and the login told apart from it. */

import { type ConnectionString, type Credentials, parseConnectionString } from "../connect/connection-string.ts";
import { MongotapError } from "../errors.ts";
import { readSecretFile } from "./config-file.ts";
import type { Settings } from "./options.ts";
import type { Given, ServerChoice } from "./server-choice.ts";

/** @throws MongotapError `config` for an unreadable or too readable file, and for a string that cannot be used */
export async function connectionStringOf({ server }: Pick<Settings, "server">): Promise<ConnectionString> {
  const credentials = await credentialsOf(server);
  const { kind, at } = server;
  switch (kind) {
    case "uri":
      return parseConnectionString(at.text, at.from, credentials);
    case "uriFile": {
      const from = named(at);
      return parseConnectionString(await readSecretFile(at.text, from), from, credentials);
    }
    case "address":
      return parseConnectionString(uriOf(at.text), at.from, credentials);
  }
}

async function credentialsOf({ user, password, passwordFile }: ServerChoice): Promise<Credentials> {
  const login: Credentials = user === undefined ? {} : { user };
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

function named({ from, text }: Given): string {
  return `${from} ${text}`;
}
