/** Reads the output of a capture, in the envelopes `meta` and `change`, as lines that judge.ts compares. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

export interface OutputLine {
  /** Where it is, for messages. */
  readonly at: string;
  readonly op: "c" | "u" | "d" | "t";
  /** `db.collection` */
  readonly name: string;
  readonly key: string;
  /** The document as JSON; undefined where the line has none. */
  readonly document: string | undefined;
  readonly before: string | undefined;
  readonly missing: string | undefined;
  readonly isExact: boolean;
  readonly isRow: boolean;
  readonly order: string;
  /** Of the end of a collection. */
  readonly reason: string | undefined;
  readonly to: string | undefined;
}

/** The lines of one file in their order; text that is no such line is `garbled`. */
export interface OutputFile {
  readonly lines: readonly OutputLine[];
  readonly garbled: readonly string[];
}

interface Source {
  readonly db: string;
  readonly collection: string;
}

interface Meta {
  readonly op: OutputLine["op"];
  readonly source: Source;
  readonly order: string;
  readonly snapshot?: boolean;
  readonly missing?: string;
  readonly exact?: boolean;
  readonly before?: unknown;
  readonly reason?: string;
  readonly to?: Source;
}

interface ChangeLine extends Meta {
  readonly key?: { readonly _id: string };
  readonly document?: unknown;
}

/** `path`: a file, or a folder with one for each collection. */
export async function readOutput(path: string): Promise<OutputFile[]> {
  const entries = await readdir(path).catch(() => undefined);
  const paths = entries === undefined ? [path] : entries.map((entry) => join(path, entry));
  return await Promise.all(paths.map(async (one) => readLines(await readFile(one, "utf8"), one)));
}

/** `label` says where the lines are. */
export function readLines(text: string, label: string): OutputFile {
  const lines: OutputLine[] = [];
  const garbled: string[] = [];
  const texts = text.split("\n");
  if (texts.at(-1) === "") texts.pop();
  else if (text !== "") garbled.push(`${label} does not end with a whole line`);
  for (const [i, one] of texts.entries()) {
    const at = `${label}:${i + 1}`;
    const line = lineOf(one, at);
    if (line === undefined) garbled.push(`${at} is not a line: ${one.slice(0, 80)}`);
    else lines.push(line);
  }
  return { lines, garbled };
}

function lineOf(text: string, at: string): OutputLine | undefined {
  try {
    const parsed = JSON.parse(text) as { readonly _meta?: Meta; readonly _id?: string } | ChangeLine;
    if (!("_meta" in parsed) || parsed._meta === undefined) {
      const { key, document, ...meta } = parsed as ChangeLine;
      return partsOf(at, meta, key?._id, document ?? undefined);
    }
    const { _meta: meta, ...document } = parsed;
    const hasDocument = meta.op !== "d" && meta.op !== "t" && meta.missing === undefined;
    return partsOf(at, meta, parsed._id, hasDocument ? document : undefined);
  } catch {
    return undefined;
  }
}

function partsOf(at: string, meta: Meta, key: string | undefined, document: unknown): OutputLine {
  return {
    at,
    op: meta.op,
    name: nameOf(meta.source),
    key: key ?? "",
    document: document === undefined ? undefined : JSON.stringify(document),
    before: meta.before === undefined || meta.before === null ? undefined : JSON.stringify(meta.before),
    missing: meta.missing,
    isExact: meta.exact !== false,
    isRow: meta.snapshot === true,
    order: meta.order,
    reason: meta.reason,
    to: meta.to === undefined ? undefined : nameOf(meta.to),
  };
}

function nameOf({ db, collection }: Source): string {
  return `${db}.${collection}`;
}
