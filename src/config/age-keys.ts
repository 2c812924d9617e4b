/** The age keys of the user, where sops looks for them, and what they open. */

import { homedir, platform } from "node:os";
import { join } from "node:path";

import { MongotapError } from "../errors.ts";
import { readSecretFile } from "./config-file.ts";
import type { Environment } from "./reading.ts";

/** A place where keys may be. `read` resolves to its text; undefined when there is nothing. */
interface KeyPlace {
  readonly name: string;
  readonly read: () => Promise<string | undefined>;
}

export interface OpenedKey {
  /** What the age files hold; undefined when no key opens one of them. */
  readonly secret: Uint8Array | undefined;
  /** Where keys were found, and how many. */
  readonly tried: readonly string[];
  /** Where keys were looked for. */
  readonly places: readonly string[];
  /** Why a place was of no use. */
  readonly troubles: readonly string[];
}

/** Tries the user's age keys on `files` (armored), place by place, until one opens one of them. */
export async function openWithAgeKeys(files: readonly string[], env: Environment): Promise<OpenedKey> {
  const age = await import("age-encryption");
  const places = keyPlaces(env);
  const tried: string[] = [];
  const troubles: string[] = [];
  const answer = (secret: Uint8Array | undefined): OpenedKey => ({
    secret,
    tried,
    troubles,
    places: places.map((place) => place.name),
  });
  for (const { name, read } of places) {
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
        // Another key, or another file, may fit: what is left in the end is told by the caller.
      }
    }
  }
  return answer(undefined);
}

/** In the order of sops. */
function keyPlaces(env: Environment): KeyPlace[] {
  const places: KeyPlace[] = [{ name: "SOPS_AGE_KEY", read: () => Promise.resolve(env["SOPS_AGE_KEY"]) }];
  const named = env["SOPS_AGE_KEY_FILE"];
  if (named) {
    const name = `SOPS_AGE_KEY_FILE (${named})`;
    places.push({ name, read: () => readSecretFile(named, name) });
  }
  const usual = join(configFolder(env), "sops", "age", "keys.txt");
  places.push({ name: usual, read: () => readIfThere(usual) });
  return places;
}

async function readIfThere(path: string): Promise<string | undefined> {
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

/** One key on a line; `#` begins a comment. What only the program sops can use is put among the troubles. */
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
