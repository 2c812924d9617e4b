/**
 * The error class of mongotap, and the table that maps each kind of error to its exit code, retry policy and hint. The
 * thrower chooses the kind; the table decides what follows from it.
 */

export interface Policy {
  /** The exit code of a run that ends with this kind; stable, documented in README.md. */
  readonly exit: number;
  /** Whether the pump may reopen the source at the written position and continue. */
  readonly retry: boolean;
  /** What the user can do; the default of `MongotapError.hint`. */
  readonly hint: string;
}

export const POLICY = {
  bug: { exit: 1, retry: false, hint: "This is a fault in mongotap: please report it with --log-level debug." },
  usage: { exit: 2, retry: false, hint: "Run `mongotap --help`." },
  config: { exit: 2, retry: false, hint: "Correct the setting that is named above." },
  state: { exit: 3, retry: false, hint: "Restore the state file or the output, or start over with --fresh." },
  connect: { exit: 4, retry: true, hint: "Check host, port, TLS and network." },
  auth: { exit: 5, retry: false, hint: "Check user, password, authSource and the roles of the user." },
  "history-lost": { exit: 6, retry: false, hint: "Start over with --fresh, and enlarge the oplog." },
  ended: { exit: 7, retry: false, hint: "Run again to go on with what comes after." },
  output: { exit: 8, retry: false, hint: "Make room or correct the path, then run again: nothing committed is lost." },
  data: { exit: 9, retry: false, hint: "Repair the document in the source, then run again." },
  unsupported: { exit: 10, retry: false, hint: "This server cannot do what was asked." },
  threshold: { exit: 11, retry: false, hint: "" },
  limit: { exit: 12, retry: false, hint: "Run again with the same --state to go on." },
  locked: { exit: 75, retry: false, hint: "Wait for the other run, or use --wait-lock or --skip-if-locked." },
  pipe: { exit: 141, retry: false, hint: "" },
} as const satisfies Record<string, Policy>;

export type Kind = keyof typeof POLICY;

/** An error with a kind. `message` is one line without secrets, for the user. */
export class MongotapError extends Error {
  override readonly name = "MongotapError";
  readonly kind: Kind;
  readonly hint: string;
  /** The least time before a retry, in ms: what the server asked for, else 0. */
  readonly retryAfterMs: number;

  constructor(kind: Kind, message: string, options: { hint?: string; cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.hint = options.hint ?? POLICY[kind].hint;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }

  get exitCode(): number {
    return POLICY[this.kind].exit;
  }

  get retryable(): boolean {
    return POLICY[this.kind].retry;
  }
}

/** Returns `value`; throws MongotapError("bug"), which names `what`, if it is missing. For what only a bug can omit. */
export function must<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new MongotapError("bug", `${what} is missing`);
  return value;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Anything thrown as a MongotapError: an error of another class is a `bug`. */
export function asMongotapError(error: unknown): MongotapError {
  return error instanceof MongotapError ? error : new MongotapError("bug", messageOf(error), { cause: error });
}

/** The error that ended a run, without the errors of closing its resources. */
export function firstErrorOf(thrown: unknown): unknown {
  return thrown instanceof SuppressedError ? firstErrorOf(thrown.suppressed) : thrown;
}
