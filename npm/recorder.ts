/**
 * Records the changes that a program makes in the database. Each call is one bounded run of `mongotap tail`, which goes on
 * behind the last one: nothing is missed and nothing comes twice (docs/decisions/304-npm-packages-and-testing.md).
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkOptions, isText, listOfTexts, oneOf, wholeNumber } from "./arguments.ts";
import { binaryPath } from "./binary.ts";
import { guardFolder } from "./mongod/watchdog.ts";
import { isConnectionString, withoutSelectionTimeout, withSelectionTimeout } from "./connection-string.ts";
import { runTail, type TailEnd } from "./tail-process.ts";

/** A document as `JSON.parse` makes it of Extended JSON: `EJSON.deserialize` of the package `bson` makes BSON types of it. */
export type JsonDocument = Readonly<Record<string, unknown>>;

/** A line of `mongotap tail --envelope change`. docs/envelopes.md describes the fields. */
export interface Change {
  /** `c` insert, `u` update or replace, `d` delete, `t` the end of a collection: dropped, renamed or replaced. */
  readonly op: "c" | "u" | "d" | "t";
  readonly source: { readonly db: string; readonly collection: string };
  /** `_id`, and the shard key of a sharded collection; `null` with `t`. */
  readonly key: JsonDocument | null;
  /** The document as the change left it; `null` with `d` and `t`, and where `missing` says why there is none. */
  readonly document: JsonDocument | null;
  /** Of an update: what it changed. */
  readonly update?: {
    readonly updatedFields: JsonDocument;
    readonly removedFields: readonly string[];
    readonly truncatedArrays: readonly unknown[];
  };
  /** The document before the change, in collections that keep images. */
  readonly before?: JsonDocument;
  readonly missing?: "deleted" | "unavailable" | "not_requested";
  /** `false`: the document may be newer than the change. */
  readonly exact?: false;
  /** With `t`: why the collection ended. */
  readonly reason?: string;
  /** The time of the change on the clock of the server, in ms since 1970. */
  readonly ts_ms: number;
  /** Sorts, as a string, the changes of one key by commit. */
  readonly order: string;
}

export interface RecordOptions {
  /** Namespaces that are left out of a database that is recorded as a whole. Default: none */
  readonly exclude?: readonly string[];
  /** How values look: `"relaxed"` or `"canonical"` Extended JSON, or `"plain"`. Default: `"relaxed"` */
  readonly format?: "relaxed" | "canonical" | "plain";
  /** The document of an update: `"exact"`, `"image"` or `"none"`. Default: `"exact"` */
  readonly fullDocument?: "exact" | "image" | "none";
  /** How long a call waits, in ms, before it rejects. Default: `10_000` */
  readonly timeoutMs?: number;
  /** The program to run, with its first arguments. Default: the binary of the package */
  readonly command?: readonly [program: string, ...args: string[]];
}

export interface ChangeRecorder {
  /** Resolves with the changes up to now that no call has returned yet, in commit order. */
  changes(): Promise<Change[]>;
  /**
   * Waits until `count` more changes (default 1) have come, and resolves with them. For programs that write later.
   * Rejects after `timeoutMs` with what came instead, which the next call returns.
   */
  next(count?: number): Promise<Change[]>;
  /** Ends the recording and removes its files. Safe to call twice. */
  stop(): Promise<void>;
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Resolves when the recording has begun: no later change is missed. `namespaces` are `db.collection`, or `db` for all of a
 * database, also for collections that do not exist yet. Rejects with a TypeError or a RangeError for arguments that it does
 * not take.
 */
export async function recordChanges(
  uri: string,
  namespaces: string | readonly string[],
  options: RecordOptions = {},
): Promise<ChangeRecorder> {
  const names = [namespaces].flat();
  checkArguments(uri, names, options);
  const command = options.command ?? [binaryPath()];
  const folder = await mkdtemp(join(tmpdir(), "mongotap-recorder-"));
  const recorder = new Recorder({ ...options, uri, namespaces: names, command, folder });
  try {
    await recorder.begin();
    return recorder;
  } catch (error) {
    await recorder.stop();
    throw error;
  }
}

const CALL = "recordChanges(uri, namespaces, options)";

/** The largest delay of a timer of Node.js. */
const LONGEST_MS = 2 ** 31 - 1;

/** The URI is in no message: it may hold a password. */
function checkArguments(uri: unknown, namespaces: readonly unknown[], options: unknown): void {
  if (!isConnectionString(uri)) {
    throw new TypeError(`${CALL}: uri must be a connection string that begins with mongodb:// or mongodb+srv://`);
  }
  if (namespaces.length === 0 || !namespaces.every(isText)) {
    throw new TypeError(`${CALL}: namespaces must be "db.collection", "db", or a list of these with at least one`);
  }
  checkOptions(CALL, options, {
    exclude: listOfTexts,
    format: oneOf("relaxed", "canonical", "plain"),
    fullDocument: oneOf("exact", "image", "none"),
    timeoutMs: wholeNumber(1, LONGEST_MS),
    command: (value) => (Array.isArray(value) && value.length === 0 ? "a program" : listOfTexts(value)),
  });
}

interface Settings extends RecordOptions {
  readonly uri: string;
  readonly namespaces: readonly string[];
  readonly command: readonly [program: string, ...args: string[]];
  readonly folder: string;
}

const TIMEOUT_MS = 10_000;

/** The exit code of a run that did not understand its arguments. */
const USAGE = 2;

/** The exit code of a run that did not reach the server. */
const UNREACHED = 4;

/** The exit code of a run whose collection or database has ended: the next run reads what comes after. */
const ENDED = 7;

class Recorder implements ChangeRecorder {
  readonly #settings: Settings;
  readonly #release: () => void;
  readonly #stopped = new AbortController();
  /** Changes that have come and that no call has returned. */
  #unread: Change[] = [];
  /** The last call: one run at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#release = guardFolder(settings.folder);
  }

  /** Saves the position at which the recording begins. */
  async begin(): Promise<void> {
    await this.#inTurn(() => this.#catchUp());
  }

  changes(): Promise<Change[]> {
    return this.#inTurn(async () => {
      await this.#catchUp();
      return this.#unread.splice(0);
    });
  }

  next(count = 1): Promise<Change[]> {
    if (!Number.isInteger(count) || count < 1) throw new RangeError("next() takes a whole number from 1 on");
    return this.#inTurn(async () => {
      const deadline = performance.now() + this.#timeoutMs;
      while (this.#unread.length < count) {
        const missing = count - this.#unread.length;
        const end = await this.#run(["--limit", String(missing)], Math.max(1, deadline - performance.now()));
        if (end.timedOut) throw new Error(this.#timeoutText(count === 1 ? "a change" : `${count} changes`, end));
      }
      return this.#unread.splice(0, count);
    });
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the recorder has been stopped"));
    await this.#last.catch(() => undefined);
    await rm(this.#settings.folder, { recursive: true, force: true, maxRetries: 5 });
    this.#release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #timeoutMs(): number {
    return this.#settings.timeoutMs ?? TIMEOUT_MS;
  }

  /** Starts `call` when all earlier calls have ended. */
  #inTurn<Result>(call: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(call);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Reads every change that the server had when this call began. */
  async #catchUp(): Promise<void> {
    const deadline = performance.now() + this.#timeoutMs;
    for (;;) {
      const end = await this.#run(["--until", "caught-up"], Math.max(1, deadline - performance.now()));
      if (end.timedOut) throw new Error(this.#timeoutText("the server", end));
      if (end.code === 0) return;
    }
  }

  /** Adds the lines of one run to the unread changes. Rejects if the run failed. */
  async #run(args: readonly string[], timeoutMs: number): Promise<TailEnd> {
    const { uri, namespaces, command, folder } = this.#settings;
    const end = await runTail({
      command,
      args: [...namespaces, ...this.#flags(), "--state", join(folder, "state"), ...args],
      uri: withSelectionTimeout(uri, selectionMsOf(timeoutMs)),
      timeoutMs,
      signal: this.#stopped.signal,
    });
    this.#stopped.signal.throwIfAborted();
    this.#unread.push(...end.lines.map((line) => JSON.parse(line) as Change));
    if (end.timedOut ? end.code !== null : end.code === 0 || (end.code === ENDED && end.lines.length > 0)) return end;
    throw failureOf(end);
  }

  #flags(): string[] {
    const { exclude = [], format = "relaxed", fullDocument = "exact" } = this.#settings;
    return [
      ...exclude.flatMap((namespace) => ["--exclude", namespace]),
      "--envelope",
      "change",
      "--format",
      format,
      "--full-document",
      fullDocument,
      "--allow-missing",
      "--log-level",
      "warn",
    ];
  }

  #timeoutText(what: string, { stderr }: TailEnd): string {
    const { namespaces } = this.#settings;
    const came = this.#unread.map(textOf).join(", ");
    const text = `waited ${this.#timeoutMs} ms for ${what} (${namespaces.join(", ")}); came: ${came === "" ? "none" : came}`;
    return stderr === "" ? text : `${text}\n${withoutSelectionTimeout(stderr)}`;
  }
}

/** For the start of the process, and to say which server did not answer, before the call itself is out of time. */
const START_MS = 2_000;

function selectionMsOf(timeoutMs: number): number {
  return Math.ceil(Math.max(timeoutMs / 2, timeoutMs - START_MS));
}

/** The messages of the program name its flags and variables, which the caller does not know. */
function failureOf({ code, stderr }: TailEnd): Error {
  const [first = ""] = withoutSelectionTimeout(stderr).split("\n");
  const reason = first.replace(/^mongotap: /, "").replace(/^MONGOTAP_URI: /, "uri: ");
  if (code === USAGE) return new TypeError(`${CALL}: ${reason}`);
  if (code === UNREACHED) return new Error(`the server cannot be reached: ${reason}`);
  return new Error(`mongotap tail ended with ${code ?? "a signal"}: ${stderr}`);
}

/** `u shop.orders {"_id":7}` */
function textOf({ op, source, key }: Change): string {
  return `${op} ${source.db}.${source.collection}${key === null ? "" : ` ${JSON.stringify(key)}`}`;
}
