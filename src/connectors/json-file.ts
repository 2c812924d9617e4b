/** Reads the JSON files that a platform gives to its connector. */

import { readFile } from "node:fs/promises";

import { checkJson } from "../config/json-mistake.ts";
import { MongotapError } from "../errors.ts";
import { reasonOf } from "../lib/fs.ts";

/** `what` names the file in messages, such as `--catalog catalog.json`. @throws MongotapError `config` */
export async function readPlatformFile(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new MongotapError("config", `${what} cannot be read: ${reasonOf(error)}`, {
      hint: "Check the name and the permissions.",
      cause: error,
    });
  }
}

/** Undefined for an empty file. @throws MongotapError `config` */
export async function readJsonFile(path: string, what: string): Promise<unknown> {
  const text = await readPlatformFile(path, what);
  if (text.trim() === "") return undefined;
  checkJson(text, what);
  return JSON.parse(text);
}
