/** Decrypts age files with the age keys of the user, which it looks for in the same places as sops. */

import { homedir, platform } from "node:os";
import { join } from "node:path";

import { MongotapError } from "../errors.ts";
import type { Environment } from "./config-reader.ts";
import { readSecretFile } from "./files.ts";

/** A variable or a file that may hold keys. */
interface KeySource {
  readonly name: string;
  /** Resolves to the text, or to undefined if the variable or the file does not exist. */
  readonly read: () => Promise<string | undefined>;
}

export interface OpenedKey {
  /** The content of the age files; undefined if no key opens any of them. */
  readonly secret: Uint8Array | undefined;
  /** The sources that hold keys. */
  readonly tried: readonly string[];
  /** All sources. */
  readonly sources: readonly string[];
  /** Why sources could not be used. */
  readonly troubles: readonly string[];
}

/** Tries the user's age keys on `files` (armored), source by source, until a key opens one of the files. */
export async function openWithAgeKeys(files: readonly string[], env: Environment): Promise<OpenedKey> {
  const age = await import("age-encryption");
  const sources = keySources(env);
  const tried: string[] = [];
  const troubles: string[] = [];
  const answer = (secret: Uint8Array | undefined): OpenedKey => ({
    secret,
    tried,
    troubles,
    sources: sources.map((source) => source.name),
  });
  for (const { name, read } of sources) {
    const decrypter = new age.Decrypter();
    try {
      const keys = keysIn((await read()) ?? "", name, troubles);
      if (keys.length === 0) continue;
      for (const key of keys) decrypter.addIdentity(key);
      tried.push(name);
    } catch (error) {
      // The library's messages quote the key; ours do not.
      troubles.push(error instanceof MongotapError ? error.message : `${name} holds a key that is damaged`);
      continue;
    }
    for (const file of files) {
      try {
        return answer(await decrypter.decrypt(age.armor.decode(file)));
      } catch {
        // Another key, or another file, may fit.
      }
    }
  }
  return answer(undefined);
}

/** In the order of sops. */
function keySources(env: Environment): KeySource[] {
  const sources: KeySource[] = [{ name: "SOPS_AGE_KEY", read: () => Promise.resolve(env["SOPS_AGE_KEY"]) }];
  const named = env["SOPS_AGE_KEY_FILE"];
  if (named) {
    const name = `SOPS_AGE_KEY_FILE (${named})`;
    sources.push({ name, read: () => readSecretFile(named, name) });
  }
  const usual = join(configFolder(env), "sops", "age", "keys.txt");
  sources.push({ name: usual, read: () => readIfExists(usual) });
  return sources;
}

async function readIfExists(path: string): Promise<string | undefined> {
  try {
    return await readSecretFile(path, path);
  } catch (error) {
    const { cause } = error instanceof Error ? error : {};
    if (cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENOTDIR"))
      return undefined;
    throw error;
  }
}

/** As Go's os.UserConfigDir, with XDG_CONFIG_HOME on macOS as well (sops, age/keysource.go). */
function configFolder(env: Environment): string {
  const home = env["HOME"] ?? homedir();
  if (platform() === "win32") return env["AppData"] ?? env["APPDATA"] ?? join(home, "AppData", "Roaming");
  const own = env["XDG_CONFIG_HOME"];
  if (own) return own;
  return platform() === "darwin" ? join(home, "Library", "Application Support") : join(home, ".config");
}

/** One key per line; `#` begins a comment. Adds to `troubles` what only the program sops can use. */
function keysIn(text: string, name: string, troubles: string[]): string[] {
  if (text.startsWith("-----BEGIN AGE") || text.startsWith("age-encryption.org/")) {
    troubles.push(`${name} is itself encrypted with a passphrase`);
    return [];
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const keys = lines.filter((line) => line.startsWith("AGE-SECRET-KEY-"));
  const others = lines.filter((line) => line !== "" && !line.startsWith("#") && !line.startsWith("AGE-SECRET-KEY-"));
  if (others.length > 0)
    troubles.push(`${name} holds ${others.length} lines that are no age keys, or keys of a plugin`);
  return keys;
}
