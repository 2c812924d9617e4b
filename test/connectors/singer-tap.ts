/** The program as a Singer tap, and a target that checks each message and keeps rows as targets with tables do. */

import { chmod, writeFile } from "node:fs/promises";
import type { Document } from "mongodb";
import { type CliResult, run, type RunningCli, start, type StartOptions } from "../support/cli.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import type { TempDir } from "../support/temp.ts";
import { checkFor } from "../discover/validator.ts";
import { textLinesOf } from "../cli/tap.ts";

/** A document of the tests. */
export interface Doc extends Document {
  readonly _id: number | string;
}

export type Row = Readonly<Record<string, unknown>>;

export interface Message {
  readonly type: "SCHEMA" | "RECORD" | "STATE" | "ACTIVATE_VERSION";
  readonly stream: string;
  readonly schema: Schema;
  readonly key_properties: readonly string[];
  readonly record: Row;
  readonly version: number;
  readonly time_extracted: string;
  readonly value: State;
}

export interface Schema {
  readonly type: unknown;
  readonly format?: string;
  readonly properties: Readonly<Record<string, Schema>>;
}

export interface State {
  readonly bookmarks: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface Catalog {
  readonly streams: readonly CatalogStream[];
}

export interface CatalogStream {
  readonly tap_stream_id: string;
  readonly schema: Schema;
  readonly metadata: readonly Metadata[];
  readonly [more: string]: unknown;
}

interface Metadata {
  readonly breadcrumb: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The files that a runner gives to the tap. */
export interface Files {
  readonly catalog?: Catalog;
  /** The older name of the catalog. */
  readonly properties?: Catalog;
  readonly state?: unknown;
  readonly args?: readonly string[];
}

export interface Synced extends CliResult {
  readonly messages: readonly Message[];
  /** The last. */
  readonly state: State;
}

/** Each has files of its own. */
let taps = 0;

export class SingerTap {
  readonly #config: string;
  #files = 0;

  private constructor(config: string) {
    this.#config = config;
  }

  static async with(dir: TempDir, config: Readonly<Record<string, unknown>>): Promise<SingerTap> {
    taps += 1;
    const tap = new SingerTap(dir.join(`config-${taps}.json`));
    await writeReadOnly(tap.#config, config);
    return tap;
  }

  async run(args: readonly string[], options?: StartOptions): Promise<CliResult> {
    return await run(["singer", "--config", this.#config, ...args], options);
  }

  async discover(args: readonly string[] = [], options?: StartOptions): Promise<Catalog> {
    const { code, stdout, stderr } = await this.run(["--discover", ...args], options);
    if (code !== 0) throw new Error(`discover ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as Catalog;
  }

  /** Runs it to its end. Rejects where that is not `code`, and where its last message is no STATE. */
  async sync(files: Files = {}, code = 0): Promise<Synced> {
    const result = await this.run(await this.#argsOf(files));
    if (result.code !== code) throw new Error(`singer ended with ${result.code}: ${result.stderr}`);
    const synced = syncedOf(result.stdout);
    const last = synced.messages.at(-1)?.type;
    if (code === 0 && last !== "STATE") throw new Error(`the last message is a ${last ?? "nothing"}`);
    return { ...result, ...synced };
  }

  async start(files: Files = {}, options?: StartOptions): Promise<RunningCli> {
    return start(["singer", "--config", this.#config, ...(await this.#argsOf(files))], options);
  }

  async #argsOf({ args = [], ...files }: Files): Promise<string[]> {
    this.#files += 1;
    const all = [...args];
    for (const [name, value] of Object.entries(files)) {
      if (value === undefined) continue;
      const path = `${this.#config}-${name}-${this.#files}`;
      await writeReadOnly(path, value);
      all.push(`--${name}`, path);
    }
    return all;
  }
}

async function writeReadOnly(path: string, value: unknown): Promise<void> {
  await writeFile(path, JSON.stringify(value));
  await chmod(path, 0o444);
}

/** A database of its own, and the tap that reads it. `dir` is for the files of the tap. */
export async function newTap(dir: TempDir): Promise<TestDatabase & { readonly tap: SingerTap }> {
  const database = await testDatabase();
  return { ...database, tap: await SingerTap.with(dir, { uri: database.uri, database: database.name }) };
}

/** The messages of a run, and its last state. */
export function syncedOf(stdout: string): { messages: readonly Message[]; state: State } {
  const messages = textLinesOf(stdout).map((line) => JSON.parse(line) as Message);
  return { messages, state: messages.findLast(({ type }) => type === "STATE")?.value ?? { bookmarks: {} } };
}

interface Versioned {
  readonly version: number;
  readonly row: Row;
}

/**
 * The rows by stream and key, as a target with tables has them. Throws for what real targets refuse: a record before its schema,
 * one that is not valid, one without its key, a time without a zone.
 */
export class Target {
  readonly #tables = new Map<string, Map<string, Versioned>>();
  readonly #checks = new Map<
    string,
    { readonly check: ReturnType<typeof checkFor>; readonly keys: readonly string[] }
  >();

  load(messages: readonly Message[]): this {
    for (const message of messages) this.#take(message);
    return this;
  }

  /** Those that are not deleted, without the column of deletions, by key. */
  rows(stream: string): Row[] {
    const all = [...(this.#tables.get(stream)?.values() ?? [])].map(({ row }) => row);
    const live = all.filter((row) => (row["_sdc_deleted_at"] ?? null) === null);
    return live
      .map(({ _sdc_deleted_at: _, ...row }) => row)
      .toSorted((a, b) => (keyText(a["_id"]) < keyText(b["_id"]) ? -1 : 1));
  }

  /** Those that were deleted, by a record of their own. */
  deleted(stream: string): Row[] {
    const all = [...(this.#tables.get(stream)?.values() ?? [])].map(({ row }) => row);
    return all.filter((row) => (row["_sdc_deleted_at"] ?? null) !== null);
  }

  #take(message: Message): void {
    const { type, stream } = message;
    switch (type) {
      case "SCHEMA":
        this.#checks.set(stream, { check: checkFor(message.schema), keys: message.key_properties });
        if (!this.#tables.has(stream)) this.#tables.set(stream, new Map());
        break;
      case "RECORD":
        this.#put(message);
        break;
      case "ACTIVATE_VERSION": {
        const table = this.#tables.get(stream);
        if (table === undefined) throw new Error(`ACTIVATE_VERSION before the schema of ${stream}`);
        for (const [key, { version }] of table) if (version < message.version) table.delete(key);
        break;
      }
      case "STATE":
        if (typeof message.value.bookmarks !== "object") throw new Error("a STATE without bookmarks");
        break;
      default:
        throw new Error(`a message of the type ${String(type)}`);
    }
  }

  #put({ stream, record, version, time_extracted: time }: Message): void {
    const known = this.#checks.get(stream);
    const table = this.#tables.get(stream);
    if (known === undefined || table === undefined) throw new Error(`a RECORD before the schema of ${stream}`);
    const problems = known.check(record);
    if (problems.length > 0) throw new Error(`${JSON.stringify(record)} is not valid: ${JSON.stringify(problems)}`);
    if (known.keys.some((key) => !(key in record))) throw new Error(`${JSON.stringify(record)} lacks its key`);
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(time)) throw new Error(`time_extracted is ${time}`);
    table.set(known.keys.map((key) => keyText(record[key])).join(), { version, row: record });
  }
}

function keyText(value: unknown): string {
  return typeof value === "number" ? String(value).padStart(20, "0") : JSON.stringify(value);
}

/** The catalog with more metadata of one stream: for itself, and for its fields by their path (`in/drop`). */
export function withMetadata(
  catalog: Catalog,
  id: string,
  ofStream: Readonly<Record<string, unknown>>,
  ofFields: ReadonlyMap<string, Readonly<Record<string, unknown>>> = new Map(),
): Catalog {
  const changed = ({ breadcrumb, metadata }: Metadata): Metadata => {
    const path = breadcrumb.filter((_, i) => i % 2 === 1).join("/");
    const more = breadcrumb.length === 0 ? ofStream : ofFields.get(path);
    return { breadcrumb, metadata: { ...metadata, ...more } };
  };
  return {
    streams: catalog.streams.map((stream) =>
      stream.tap_stream_id === id ? { ...stream, metadata: stream.metadata.map(changed) } : stream,
    ),
  };
}

export function recordsOf(messages: readonly Message[], stream?: string): readonly Row[] {
  return messages
    .filter(({ type, stream: of }) => type === "RECORD" && (stream === undefined || of === stream))
    .map(({ record }) => record);
}

export function typesOf(messages: readonly Message[]): string[] {
  return messages.map(({ type }) => type);
}
