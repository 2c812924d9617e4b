/** Golden files: the output of the program, compared with output that was reviewed. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { firstDifference } from "./tap.ts";

const FOLDER = join(import.meta.dirname, "golden");
/** `UPDATE_GOLDEN=1 bun test …` rewrites the files: review the difference. */
const isUpdate = process.env["UPDATE_GOLDEN"] === "1";

/** Replaces what differs from run to run. Each is a step of its own, so that a golden file says what it does not hold. */
export type Normaliser = (text: string) => string;

/** A name for each of these texts, in their order. */
export function names(replacements: Readonly<Record<string, string>>): Normaliser {
  return (text) => Object.entries(replacements).reduce((shown, [found, name]) => shown.replaceAll(found, name), text);
}

/** `order` is a cluster time and a count; the time is that of the server. */
export const orders: Normaliser = (text) => text.replaceAll(/"order":"[0-9a-f]{16}/g, '"order":"<cluster time>');

/** Resume tokens hold a time and the identity of the collection. */
export const tokens: Normaliser = (text) => text.replaceAll(/"_data":"[0-9A-F]+"/g, '"_data":"<token>"');

/** When a change was made: milliseconds since 1970 (20xx), an ISO date, a BSON timestamp. */
export const times: Normaliser = (text) =>
  text
    .replaceAll(/"(ts_ms|ts_us|ts_ns)":\d+/g, '"$1":<time>')
    .replaceAll(/"clusterTime":\{"\$timestamp":\{"t":\d+,"i":\d+\}\}/g, '"clusterTime":<time>')
    .replaceAll(/"clusterTime":"[^"]+"/g, '"clusterTime":<time>')
    .replaceAll(/"wallTime":(\{"\$date":(\{[^}]*\}|"[^"]*")\}|"[^"]*")/g, '"wallTime":<time>');

/** Throws where `text`, normalised, differs from the golden file `name`. */
export async function expectGolden(name: string, text: string, normalisers: readonly Normaliser[]): Promise<void> {
  const path = join(FOLDER, name);
  const actual = normalisers.reduce((shown, normalise) => normalise(shown), text);
  if (isUpdate) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, actual);
    return;
  }
  if (!existsSync(path)) throw new Error(`there is no golden file ${name}: run with UPDATE_GOLDEN=1 and look at it`);
  const difference = firstDifference(actual.split("\n"), (await readFile(path, "utf8")).split("\n"));
  if (difference !== undefined) throw new Error(`${name} differs: ${JSON.stringify(difference, null, 2)}`);
}
