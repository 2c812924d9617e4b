/**
 * Plays the runtime of Flow for one capture: sends each process its `spec` first, keeps the state, applies merge patches and
 * documents at checkpoints alone, acknowledges what it has committed, and drops what it has not when a process fails.
 */
import { type CliResult, type RunningCli, start, type StartOptions } from "../support/cli.ts";
import type { TestDatabase } from "../support/replica-set.ts";
import { waitFor } from "../support/wait.ts";

export type Json = Readonly<Record<string, unknown>>;
/** A document in a collection of Flow. */
export type Row = Json & { readonly _id: string; readonly _meta: Json };

export interface Bound {
  readonly database: string;
  readonly collection: string;
  /** The backfill counter. */
  readonly backfill?: number;
}

export interface CaptureOptions {
  readonly config: Json;
  /** How long (ms) after a checkpoint it is committed; default: at once. */
  readonly commitMs?: number;
  readonly env?: StartOptions["env"];
}

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(merged, name);
    else merged[name] = mergePatch(merged[name], value);
  }
  return merged;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function stateKeyOf({ database, collection, backfill = 0 }: Bound): string {
  const path = [database, collection].map(encodeURIComponent).join("%2F");
  return backfill === 0 ? path : `${path}.v${backfill}`;
}

/** The bindings of a validate request, or with `isOpen` of an open one. Defaults are left out, as proto3 does. */
export function bindingRequests(bound: readonly Bound[], isOpen: boolean): Json[] {
  return bound.map((binding) => {
    const { database, collection, backfill = 0 } = binding;
    const name = `acmeCo/${database}/${collection}`;
    return {
      resourceConfig: { database, collection, _meta: { path: [database, collection] } },
      ...(isOpen ? { resourcePath: [database, collection], stateKey: stateKeyOf(binding) } : {}),
      collection: { name, key: ["/_id"], writeSchema: { type: "object" }, uuidPtr: "/_meta/uuid" },
      ...(backfill === 0 ? {} : { backfill }),
    };
  });
}

const SPEC = { spec: { connectorType: "LOCAL", config: {} } };
const RANGE = { keyEnd: 4_294_967_295, rClockEnd: 4_294_967_295 };

export class FlowCapture {
  readonly options: CaptureOptions;
  state: Json = {};
  /** The committed documents, by the state key of their binding: a raised counter begins with none. */
  readonly collections = new Map<string, Map<string, Row>>();
  /** What the processes have said on stdout. */
  readonly transcript: string[] = [];

  constructor(options: CaptureOptions) {
    this.options = options;
  }

  /** The result of a process that gets the `spec` and these requests, and whose stdin is then closed. */
  async run(...requests: readonly unknown[]): Promise<CliResult & { readonly responses: Json[] }> {
    const { env } = this.options;
    const lines = [SPEC, ...requests].map((request) => `${JSON.stringify(request)}\n`).join("");
    await using cli = start(["flow"], { env: { LOG_FORMAT: "json", ...env }, openStdin: true, timeoutMs: 30_000 });
    cli.write(lines);
    cli.endStdin();
    const result = await cli.done;
    checkLog(result.stderr);
    const said = result.stdout.split("\n").slice(0, -1);
    this.transcript.push(...said);
    return { ...result, responses: said.map((line) => JSON.parse(line) as Json) };
  }

  /** The answer to one request; the process must have answered nothing else, and have ended well. */
  async ask(request: Json): Promise<Json> {
    const { responses, code, stderr } = await this.run(request);
    if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`);
    const [spec, answer, ...more] = responses;
    if (!isObject(spec?.["spec"]) || answer === undefined || more.length > 0)
      throw new Error(`${responses.length} answers`);
    return answer;
  }

  async open(bound: readonly Bound[], more: StartOptions = {}): Promise<FlowSession> {
    const session = new FlowSession(this, bound, more);
    await session.until(() => session.isOpened, "the session to open");
    return session;
  }

  openRequest(bound: readonly Bound[]): Json {
    const capture = {
      name: "acmeCo/mongo",
      connectorType: "LOCAL",
      config: this.options.config,
      bindings: bindingRequests(bound, true),
      intervalSeconds: 300,
      shardTemplate: { id: "capture/acmeCo/mongo", labels: { labels: [{ name: "app.gazette.dev/managed-by" }] } },
    };
    return { open: { capture, version: "0123456789abcdef", range: RANGE, state: this.state } };
  }

  of(bound: Bound): Map<string, Row> {
    const key = stateKeyOf(bound);
    const found = this.collections.get(key) ?? new Map<string, Row>();
    this.collections.set(key, found);
    return found;
  }
}

interface Transaction {
  readonly documents: readonly (readonly [Bound, Row])[];
  readonly state: { readonly updated?: unknown; readonly mergePatch?: boolean } | undefined;
}

/** Makes captures of the database of a test, and bindings in it. `database` is called when they are made. */
export function capturesOf(database: () => Pick<TestDatabase, "name" | "uri">) {
  return {
    captureOf: (config: Json = {}, commitMs = 0): FlowCapture =>
      new FlowCapture({ config: { uri: database().uri, ...config }, commitMs }),
    bound: (collection: string, backfill = 0, of = database().name): Bound => ({ database: of, collection, backfill }),
  };
}

export class FlowSession implements AsyncDisposable {
  readonly #capture: FlowCapture;
  readonly #bound: readonly Bound[];
  readonly cli: RunningCli;
  /** The commit of the last checkpoint may be missing. */
  #committing: NodeJS.Timeout | undefined;
  readonly #read: Promise<void>;
  #pending: (readonly [Bound, Row])[] = [];
  readonly #uncommitted: Transaction[] = [];
  #problem: Error | undefined;
  isOpened = false;
  hasEnded = false;
  messages = 0;
  checkpoints = 0;
  /** Sent, by the state key of their binding: copied documents, and changes. */
  readonly copied = new Map<string, number>();
  readonly changed = new Map<string, number>();

  constructor(capture: FlowCapture, bound: readonly Bound[], more: StartOptions) {
    this.#capture = capture;
    this.#bound = bound;
    const env = { LOG_FORMAT: "json", ...capture.options.env };
    this.cli = start(["flow"], { openStdin: true, env, ...more });
    this.send(SPEC);
    this.send(capture.openRequest(bound));
    this.#read = this.#readAll();
  }

  send(request: unknown): void {
    this.cli.write(`${JSON.stringify(request)}\n`);
  }

  async until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
    await waitFor(
      async () => {
        if (this.#problem !== undefined) throw this.#problem;
        if (await isTrue()) return true;
        if (this.hasEnded) throw new Error(`the session has ended before ${what}: ${this.cli.stderr}`);
        return false;
      },
      { what, timeoutMs: 30_000, everyMs: 10 },
    );
  }

  /** Ends the session: by the end of its requests (`eof`), or by a signal. Resolves when what it has committed is there. */
  async end(how: "eof" | "SIGTERM" | "SIGKILL" = "eof"): Promise<CliResult> {
    if (how === "eof") this.cli.endStdin();
    else this.cli.kill(how);
    const result = await this.ended();
    if (how !== "SIGKILL" && result.code !== 0) {
      throw new Error(`ended with ${result.code ?? result.signal ?? ""}: ${result.stderr}`);
    }
    return result;
  }

  /** Resolves when the process has ended, with whatever code. */
  async ended(): Promise<CliResult> {
    const result = await this.cli.done;
    await this.#read;
    clearTimeout(this.#committing);
    if (this.#problem !== undefined) throw this.#problem;
    checkLog(result.stderr);
    if (result.code !== 0) return result;
    this.#commit();
    if (this.#pending.length > 0) throw new Error(`${this.#pending.length} documents without a checkpoint`);
    return result;
  }

  async #readAll(): Promise<void> {
    try {
      for await (const line of this.cli.lines) {
        try {
          this.#take(line);
        } catch (error) {
          // A process that was killed may leave half a line.
          if (!(error instanceof SyntaxError) || this.cli.stdout.endsWith("\n")) throw error;
        }
      }
    } catch (error) {
      this.#problem = error instanceof Error ? error : new Error(String(error));
    } finally {
      this.hasEnded = true;
    }
  }

  #take(line: string): void {
    this.#capture.transcript.push(line);
    const message = JSON.parse(line) as Json;
    this.messages += 1;
    const [[kind, body] = ["", undefined], ...others] = Object.entries(message);
    if (others.length > 0 || !isObject(body)) throw new Error(`not one response: ${line}`);
    if (kind === "spec" && this.messages === 1) return;
    if (kind === "opened" && this.messages === 2) {
      this.isOpened = true;
      return;
    }
    if (!this.isOpened) throw new Error(`${kind} comes before opened`);
    if (kind === "captured") this.#takeDocument(body);
    else if (kind === "checkpoint") this.#takeCheckpoint(body);
    else throw new Error(`${kind} in an open capture`);
  }

  #takeDocument({ binding = 0, doc, ...others }: Json): void {
    const bound = this.#bound[Number(binding)];
    const row = doc as Row;
    if (bound === undefined || Object.keys(others).length > 0) throw new Error(`captured: ${JSON.stringify(binding)}`);
    if (typeof row._id !== "string" || "uuid" in row._meta) throw new Error(`no document: ${JSON.stringify(row)}`);
    const { db, collection } = row._meta["source"] as Json;
    if (db !== bound.database || collection !== bound.collection)
      throw new Error(`the binding ${Number(binding)} is of another`);
    const counts = row._meta["snapshot"] === true ? this.copied : this.changed;
    counts.set(stateKeyOf(bound), (counts.get(stateKeyOf(bound)) ?? 0) + 1);
    this.#pending.push([bound, row]);
  }

  #takeCheckpoint({ state }: Json): void {
    this.checkpoints += 1;
    this.#uncommitted.push({ documents: this.#pending, state: state as Transaction["state"] });
    this.#pending = [];
    const { commitMs = 0 } = this.#capture.options;
    this.#committing ??= setTimeout(() => this.#commit(), commitMs);
  }

  /** All checkpoints that have come, in one transaction. */
  #commit(): void {
    this.#committing = undefined;
    const transactions = this.#uncommitted.splice(0);
    if (transactions.length === 0) return;
    for (const { documents, state } of transactions) {
      for (const [bound, row] of documents) {
        const rows = this.#capture.of(bound);
        if (row._meta["op"] === "d") rows.delete(row._id);
        else rows.set(row._id, { ...row, _meta: { ...row._meta, uuid: `${this.checkpoints}-${rows.size}` } });
      }
      if (state === undefined) continue;
      const { updated, mergePatch: isPatch = false } = state;
      this.#capture.state = (isPatch ? mergePatch(this.#capture.state, updated) : updated) as Json;
    }
    if (!this.hasEnded) this.send({ acknowledge: { checkpoints: transactions.length } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#committing);
    await this.cli[Symbol.asyncDispose]();
  }
}

/** Each line of standard error is a JSON object with a level and a message; none begins with a space. */
function checkLog(stderr: string): void {
  for (const line of stderr.split("\n").slice(0, -1)) {
    const { level, message } = (line.startsWith("{") ? JSON.parse(line) : {}) as Json;
    if (typeof level !== "string" || typeof message !== "string") throw new Error(`no line of a log: ${line}`);
  }
}
