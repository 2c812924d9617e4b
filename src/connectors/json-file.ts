/** Reads the JSON files that a platform gives to its connector. */

import { readFile } from "node:fs/promises";

import { parseJson } from "../config/json.ts";
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
  return text.trim() === "" ? undefined : parseJson(text, what);
}

/**
 * As readJsonFile(), but several lines with a JSON value each are an array of them: the messages that a program has sent.
 * @throws MongotapError `config`, with the number of the line
 */
export async function readJsonLinesFile(path: string, what: string): Promise<unknown> {
  const text = await readPlatformFile(path, what);
  if (text.trim() === "") return undefined;
  // Of one value on many lines the first is not JSON.
  const first = text.trimStart().split("\n", 1)[0] ?? "";
  if (text.trim() === first.trim() || !isJson(first)) return parseJson(text, what);
  return text.split("\n").flatMap((line, i): unknown[] => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line)];
    } catch (error) {
      throw new MongotapError("config", `${what}:${i + 1} is not JSON`, {
        hint: "Delete the line if it is incomplete, as a program that was killed leaves it.",
        cause: error,
      });
    }
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
