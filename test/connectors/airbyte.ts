/** `mongotap airbyte` as its platform sees it: files in, messages out, and a destination that loads them. */

import { writeFile } from "node:fs/promises";
import type { Document, MongoClient } from "mongodb";
import { textLinesOf } from "../cli/tap.ts";
import { type CliOptions, type CliResult, run, type RunningCli, start, type StartOptions } from "../support/cli.ts";
import type { TestDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

export interface Stream {
  readonly name: string;
  readonly json_schema: { readonly properties: Readonly<Record<string, unknown>>; readonly [key: string]: unknown };
  readonly supported_sync_modes: readonly string[];
  readonly [key: string]: unknown;
}

export interface RecordMessage {
  readonly stream: string;
  readonly namespace?: string;
  readonly emitted_at: number;
  readonly data: Readonly<Record<string, unknown>> & { readonly _id: unknown; readonly _ab_cdc_cursor: string };
}

export interface StateMessage {
  readonly type: string;
  readonly stream?: { readonly stream_descriptor: { readonly name: string }; readonly stream_state: unknown };
  readonly global?: {
    readonly shared_state: unknown;
    readonly stream_states: readonly { readonly stream_descriptor: { readonly name: string } }[];
  };
  readonly sourceStats: { readonly recordCount: number };
}

export interface Trace {
  readonly type: string;
  readonly emitted_at: number;
  readonly error?: {
    readonly message: string;
    readonly internal_message: string;
    readonly failure_type: string;
  };
  readonly stream_status?: { readonly stream_descriptor: { readonly name: string }; readonly status: string };
  readonly estimate?: { readonly name: string; readonly type: string; readonly row_estimate?: number };
}

export interface Message {
  readonly type: string;
  readonly spec?: { readonly connectionSpecification: object; readonly [key: string]: unknown };
  readonly connectionStatus?: { readonly status: string; readonly message?: string };
  readonly catalog?: { readonly streams: readonly Stream[] };
  readonly record?: RecordMessage;
  readonly state?: StateMessage;
  readonly trace?: Trace;
  readonly log?: { readonly level: string; readonly message: string };
}

/** By the type of a message, the key that holds its body. */
const BODIES: Readonly<Record<string, string>> = {
  SPEC: "spec",
  CONNECTION_STATUS: "connectionStatus",
  CATALOG: "catalog",
  RECORD: "record",
  STATE: "state",
  TRACE: "trace",
  LOG: "log",
};
const LEVELS = new Set(["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"]);

/** The messages on standard output. Throws where a line is anything else. */
export function messagesOf(stdout: string): Message[] {
  return textLinesOf(stdout).map((line) => {
    const message = JSON.parse(line) as Message;
    const body = (message as unknown as Record<string, unknown>)[BODIES[message.type] ?? "?"];
    const isRight = typeof body === "object" && body !== null && Object.keys(message).length === 2;
    const isLog = message.log === undefined || LEVELS.has(message.log.level);
    if (!isRight || !isLog) throw new Error(`no message of the protocol: ${line}`);
    return message;
  });
}

/** The messages up to the last whole line: of a program that was killed. */
export function wholeMessagesOf(stdout: string): Message[] {
  return messagesOf(stdout.slice(0, stdout.lastIndexOf("\n") + 1));
}

/** What the environment of a platform may hold: variables of other programs, with our prefix. */
const FOREIGN = { MONGOTAP_URI: "nonsense", MONGOTAP_FOO: "1", MONGOTAP_LIMIT: "none" };

export interface ReadOptions extends CliOptions {
  readonly state?: unknown;
}

export interface Done extends Omit<CliResult, "stdout"> {
  readonly messages: readonly Message[];
}

/** The connector with one config. */
export class Source implements AsyncDisposable {
  readonly config: string;
  readonly #dir: TempDir;
  #files = 0;

  private constructor(dir: TempDir, config: string) {
    this.#dir = dir;
    this.config = config;
  }

  static async with(config: Readonly<Record<string, unknown>>): Promise<Source> {
    const dir = await tempDir();
    const path = dir.join("tmp-config.json");
    await writeFile(path, JSON.stringify(config), { mode: 0o444 });
    return new Source(dir, path);
  }

  async run(args: readonly string[], options: CliOptions = {}): Promise<Done> {
    const { stdout, ...result } = await run(["airbyte", ...args], { ...options, env: { ...FOREIGN, ...options.env } });
    if (result.stderr !== "") throw new Error(`it wrote to stderr: ${result.stderr}`);
    return { ...result, messages: messagesOf(stdout) };
  }

  check(options?: CliOptions): Promise<Done> {
    return this.run(["check", "--config", this.config], options);
  }

  async discover(): Promise<readonly Stream[]> {
    const { messages, code } = await this.run(["discover", "--config", this.config]);
    const found = messages.find(({ catalog }) => catalog !== undefined)?.catalog?.streams;
    if (code !== 0 || found === undefined) throw new Error(`discover ended with ${code}: ${JSON.stringify(messages)}`);
    return found;
  }

  async read(catalog: unknown, { state, ...options }: ReadOptions = {}): Promise<Done> {
    return await this.run(await this.readArgs(catalog, state), options);
  }

  /** As `read`, and throws where it does not end with 0. */
  async readAll(catalog: unknown, options: ReadOptions = {}): Promise<readonly Message[]> {
    const { code, messages, signal } = await this.read(catalog, options);
    if (code === 0) return messages;
    throw new Error(`read ended with ${code ?? signal ?? ""}: ${JSON.stringify(messages.slice(-3))}`);
  }

  async startRead(catalog: unknown, state?: unknown, options: StartOptions = {}): Promise<RunningCli> {
    return start(["airbyte", ...(await this.readArgs(catalog, state))], { ...options, env: FOREIGN });
  }

  async readArgs(catalog: unknown, state?: unknown): Promise<string[]> {
    const files = ["--config", this.config, "--catalog", await this.#file(catalog)];
    return ["read", ...files, ...(state === undefined ? [] : ["--state", await this.#file(state)])];
  }

  /** Platforms write such files with any ending. */
  async #file(content: unknown): Promise<string> {
    this.#files += 1;
    const path = this.#dir.join(`tmp${this.#files}.txt`);
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o444 });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** A configured catalog of these streams, as a platform makes it. `more` is of the configured streams. */
export function configured(
  streams: readonly (Stream | string)[],
  more: Readonly<Record<string, unknown>> = {},
): { readonly streams: readonly unknown[] } {
  return {
    streams: streams.map((stream) => ({
      stream: typeof stream === "string" ? { name: stream, json_schema: {} } : stream,
      sync_mode: "incremental",
      cursor_field: ["_ab_cdc_cursor"],
      primary_key: [["_id"]],
      destination_sync_mode: "append_dedup",
      generation_id: 1,
      minimum_generation_id: 1,
      sync_id: 1,
      ...more,
    })),
  };
}

export function recordsOf(messages: readonly Message[], stream?: string): readonly RecordMessage[] {
  return messages.flatMap(({ record }) =>
    record !== undefined && (stream === undefined || record.stream === stream) ? [record] : [],
  );
}

export function statesOf(messages: readonly Message[]): readonly StateMessage[] {
  return messages.flatMap(({ state }) => state ?? []);
}

/** The states that a platform keeps after these messages, and gives to the next read: the last of each stream. */
export function keptStates(messages: readonly Message[], before: readonly StateMessage[] = []): StateMessage[] {
  const kept = new Map<string, StateMessage>();
  for (const state of [...before, ...statesOf(messages)]) kept.set(state.stream?.stream_descriptor.name ?? "", state);
  return [...kept.values()];
}

/** The statuses of a stream, in their order. */
export function statusesOf(messages: readonly Message[], stream: string): readonly string[] {
  return messages.flatMap(({ trace }) =>
    trace?.stream_status?.stream_descriptor.name === stream ? [trace.stream_status.status] : [],
  );
}

export function errorOf(messages: readonly Message[]): NonNullable<Trace["error"]> {
  const [error, ...more] = messages.flatMap(({ trace }) => trace?.error ?? []);
  if (error === undefined || more.length > 0) throw new Error(`not one error: ${JSON.stringify(messages)}`);
  return error;
}

/** The cursor of a copied document; those of changes end with the count within their time. */
export function isCopied({ data }: RecordMessage): boolean {
  return data._ab_cdc_cursor.endsWith("ffffffff");
}

const CDC = ["_ab_cdc_cursor", "_ab_cdc_updated_at", "_ab_cdc_deleted_at"] as const;

/** The rows of a destination that keeps the last record of each key and removes what is deleted, as JSON text by key. */
export class Destination {
  readonly #rows = new Map<string, Map<string, string>>();

  load(messages: readonly Message[]): this {
    for (const { stream, data } of recordsOf(messages)) {
      const rows = this.#rows.get(stream) ?? new Map<string, string>();
      this.#rows.set(stream, rows);
      const key = JSON.stringify(data._id);
      const { _ab_cdc_deleted_at: deleted, ...rest } = data as Record<string, unknown>;
      for (const column of CDC) delete rest[column];
      if (typeof deleted === "string") rows.delete(key);
      else rows.set(key, JSON.stringify(rest));
    }
    return this;
  }

  rows(stream: string): readonly string[] {
    return [...(this.#rows.get(stream)?.values() ?? [])].toSorted();
  }
}

/** What the collection holds, in the form of `Destination.rows`; for documents of numbers and texts only. */
export async function foundRows(client: MongoClient, name: string): Promise<readonly string[]> {
  const dot = name.indexOf(".");
  const found: Document[] = await client
    .db(name.slice(0, dot))
    .collection(name.slice(dot + 1))
    .find()
    .toArray();
  return found.map((document) => JSON.stringify(document)).toSorted();
}

/** A flag of the command line, which users of a platform do not have; `mongod` has its own. */
export const FLAG = /--(?!replSet)[a-z]/;

/** Fills collections with documents of numbers, and returns their streams. */
export async function filled(
  { db, name }: Pick<TestDatabase, "db" | "name">,
  collections: readonly string[],
  count = 10,
): Promise<string[]> {
  for (const collection of collections) {
    const numbers = Array.from({ length: count }, (_, i) => ({ _id: i, n: i }));
    await db.collection<{ _id: number; n: number }>(collection).insertMany(numbers);
  }
  return collections.map((collection) => `${name}.${collection}`);
}
