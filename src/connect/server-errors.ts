/**
 * From any thrown thing to a MongotapError. The only file that knows server codes and driver error classes.
 *
 * The asymmetry that decides the doubtful cases: every retry starts from a position whose output is known, so a
 * retry too many costs time and nothing else, while treating a passing fault as final stops a capture for nothing.
 * Only what says that the position itself is gone, or that we may not or cannot, is final.
 */

import { MongoError, MongoNetworkError, MongoParseError, MongoServerError, MongoServerSelectionError } from "mongodb";

import { messageOf, MongotapError } from "../errors.ts";

/** What the failing command was about, where that changes what its error means. */
export interface ErrorContext {
  /** The command carried our saved position. */
  readonly open?: boolean;
  /** Since when the changes were asked for, as it is told when they are gone. */
  readonly since?: string;
}

/** https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml (NonResumableChangeStreamError). */
const HISTORY_LOST = new Set([
  286, // ChangeStreamHistoryLost: the oplog no longer holds the position
  280, // ChangeStreamFatalError: the event of the token is not there, or the filter hides it
  464, // ShardRemovedError: part of the history went with its shard
]);

/** Codes that condemn the token itself, but only when they answer a command that carried it. */
const BAD_TOKEN = new Set([
  260, // InvalidResumeToken
  9, // FailedToParse: "not a valid hex string"
  15, // Overflow: it ends too early
  207, // InvalidUUID
  40646, // "invalid oversized resume token"
  40647, // "Bad resume token"
  40648,
  40649, // "invalid empty resume token"
  50793, // "does not contain txnOpIndex", and so on for each part
  50795,
  50796,
  50810, // "KeyString format error", of several kinds
  50811,
  50816,
  50870,
  50872,
  51055,
  51057,
  6189504, // "Invalid high water mark token"
]);

const AUTH = new Set([
  18, // AuthenticationFailed
  13, // Unauthorized
  8000, // AtlasError: bad auth
  11, // UserNotFound
  334, // MechanismUnavailable
]);

const UNSUPPORTED = new Set([
  40573, // "The $changeStream stage is only supported on replica sets"
  40324, // unrecognized pipeline stage
  166, // CommandNotSupportedOnView
  167, // OptionNotSupportedOnView
  323, // APIStrictError
  376, // ChangeStreamNotEnabled
  115, // CommandNotSupported
  59, // CommandNotFound
  40415, // unknown field of a stage
]);

/** With what can be done about it. */
const DATA = new Map([
  [
    10334, // BSONObjectTooLarge
    "This change is above 16 MB with all that was asked for. A server from 6.0.9 on splits it; else ask for less: --before none, or --full-document none as well.",
  ],
  [
    47, // NoMatchingDocument
    "The image of a document is gone, or its collection keeps none (changeStreamPreAndPostImages): go on with --full-document auto --accept-change.",
  ],
]);

/** Of the category SystemOverloadedError; from 8.2 on the server also puts that label on them. */
const OVERLOADED = new Set([
  433, // AdmissionQueueOverflow
  449, // RateLimitExceeded
  450, // PooledConnectionAcquisitionRejected
  462, // IngressRequestRateLimitExceeded
]);

/** What a server that has too much to do may expect of us: once a second at most, or less often where it says so. */
const OVERLOADED_MS = 1_000;
const MOST_PATIENCE_MS = 60_000;

/** What a chunk may be asked again for: the snapshot is not there (yet), or has left the server's window. */
export const SNAPSHOT_UNAVAILABLE = 246;
export const SNAPSHOT_TOO_OLD = 239;
/** MaxTimeMSExpired: the server could not fill a reply within its time limit. */
export const MAX_TIME_EXPIRED = 50;

/** The server's code behind `error`, looking through causes; undefined where no server spoke. */
export function serverCodeOf(error: unknown): number | undefined {
  for (let e = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth += 1) {
    if (e instanceof MongoServerError && typeof e.code === "number") return e.code;
  }
  return undefined;
}

/**
 * Says what `error` means. `what` is the beginning of the message, such as "cannot read shop.orders".
 * A MongotapError comes back as it is; anything that is neither the server's nor the network's is a `bug`.
 */
export function toMongotapError(error: unknown, what: string, doing: ErrorContext = {}): MongotapError {
  if (error instanceof MongotapError) return error;
  if (error instanceof MongoServerError) return fromServerError(error, what, doing);
  if (isUnreadableFile(error)) {
    return new MongotapError("config", `${what}: ${error.message}`, {
      hint: "Correct the path (tlsCAFile, tlsCertificateKeyFile) in the connection string.",
      cause: error,
    });
  }
  if (isUnreadable(error)) {
    return new MongotapError("connect", `${what}: what the server sent cannot be read: ${error.message}`, {
      cause: error,
    });
  }
  if (isConnectionError(error)) {
    return new MongotapError("connect", `${what}: ${networkReason(error)}`, { cause: error });
  }
  const message = messageOf(error);
  return new MongotapError("bug", `${what}: ${message}`, { cause: error });
}

function fromServerError(error: MongoServerError, what: string, doing: ErrorContext): MongotapError {
  const code = typeof error.code === "number" ? error.code : 0;
  const message = firstSentence(error.message);
  const text = `${what}: ${message}${code === 0 ? "" : ` (server code ${code})`}`;
  if (HISTORY_LOST.has(code) || error.hasErrorLabel("NonResumableChangeStreamError")) {
    return new MongotapError(
      "history-lost",
      `${what}: the server no longer holds the changes since ${doing.since ?? "the saved position"} (server code ${code}: ${message})`,
      { cause: error },
    );
  }
  if (OVERLOADED.has(code) || error.hasErrorLabel("SystemOverloadedError")) {
    return new MongotapError("connect", text, {
      hint: "The server has too much to do: try again later, or copy with --rate-limit.",
      retryAfterMs: retryAfterOf(error),
      cause: error,
    });
  }
  if (error.hasErrorLabel("ResumableChangeStreamError")) return new MongotapError("connect", text, { cause: error });
  if (doing.open === true && BAD_TOKEN.has(code)) {
    return new MongotapError(
      "state",
      `${what}: the server does not accept the saved position (server code ${code}: ${message})`,
      {
        hint: "The state is of another cluster or damaged: restore it, or start over with --fresh.",
        cause: error,
      },
    );
  }
  if (AUTH.has(code)) return new MongotapError("auth", text, { cause: error });
  if (isNoReplicaSet(error, code)) {
    return new MongotapError("unsupported", `${what}: change streams need a replica set or a sharded cluster`, {
      hint: "Start mongod with --replSet and run rs.initiate(); a set of one member is enough.",
      cause: error,
    });
  }
  if (UNSUPPORTED.has(code)) return new MongotapError("unsupported", text, { cause: error });
  const remedy = DATA.get(code);
  if (remedy !== undefined) return new MongotapError("data", text, { hint: remedy, cause: error });
  return new MongotapError("connect", text, { hint: "The server refused; the position is kept.", cause: error });
}

/** https://github.com/mongodb/specifications/blob/master/source/client-backpressure/client-backpressure.md */
function retryAfterOf({ errorResponse }: MongoServerError): number {
  const asked = Number(errorResponse["baseBackoffMS"] ?? 0);
  return Number.isFinite(asked) ? Math.min(MOST_PATIENCE_MS, Math.max(OVERLOADED_MS, asked)) : OVERLOADED_MS;
}

/** Without the command that the server quotes where a privilege is missing: long, and with a signature in it. */
function firstSentence(message: string): string {
  return message.replace(/ to execute command \{.*$/s, "");
}

function isNoReplicaSet(error: MongoServerError, code: number): boolean {
  return code === 40573 || (code === 20 && /replica set/i.test(error.message));
}

/** The driver opens certificates when it first connects, and passes on what the file system says. */
function isUnreadableFile(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return ("syscall" in error && error.syscall === "open") || ("code" in error && error.code === "EISDIR");
}

/** A header with an impossible length, or a reply that is no BSON: another connection may do better. */
function isUnreadable(error: unknown): error is Error {
  if (error instanceof MongoParseError) return /^message size|^invalid message size/i.test(error.message);
  return error instanceof Error && /^BSON(Offset)?Error$/.test(error.name);
}

function isConnectionError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  if (error instanceof MongoParseError) return false;
  if (error instanceof MongoServerSelectionError || error instanceof MongoNetworkError) return true;
  if (error instanceof MongoError) return /Topology|Client|Pool|Cursor|Session|Timeout/.test(error.name);
  return (
    "code" in error &&
    typeof error.code === "string" &&
    /^(E[A-Z]+|ERR_(SSL|TLS)_.*|CERT_.*|[A-Z_]*CERT[A-Z_]*)$/.test(error.code)
  );
}

/** The most telling message on the way down: what the socket or TLS said, rather than "server selection timed out". */
function networkReason(error: Error): string {
  let reason = error.message;
  for (let e: unknown = error, depth = 0; e instanceof Error && depth < 6; e = innerCause(e), depth += 1) {
    if (e.message !== "") reason = e.message;
  }
  return reason.split("\n")[0] ?? reason;
}

function innerCause(error: Error): unknown {
  if (error instanceof MongoServerSelectionError && error.reason) {
    for (const server of error.reason.servers.values()) if (server.error) return server.error;
  }
  if (error instanceof AggregateError) return error.errors[0];
  return error.cause;
}
