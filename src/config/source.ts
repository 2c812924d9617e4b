/** Where the connection string comes from: a flag, a variable, or a file that only its owner can read. */

import { readFile, stat } from "node:fs/promises";

import { type ConnectionString, parseConnectionString } from "../connect/connection-string.ts";
import { MongotapError } from "../errors.ts";
import type { Settings } from "./options.ts";

/** @throws MongotapError `config` for an unreadable or too readable file, and for a string that cannot be used */
export async function connectionStringOf(settings: Settings): Promise<ConnectionString> {
  if (settings.uriFile === undefined) return parseConnectionString(settings.uri, "--uri or MONGOTAP_URI");
  return parseConnectionString(await readSecretFile(settings.uriFile), `--uri-file ${settings.uriFile}`);
}

async function readSecretFile(path: string): Promise<string> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new MongotapError("config", `--uri-file ${path} can be read by others`, { hint: `Run: chmod 600 ${path}` });
    }
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof MongotapError) throw error;
    const reason = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new MongotapError("config", `--uri-file ${path} cannot be read (${reason})`, { cause: error });
  }
}
