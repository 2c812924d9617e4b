/**
 * Turns anything thrown into a MongotapError: decides what server codes and driver error classes mean.
 *
 * The asymmetry that decides the doubtful cases: every retry starts from a position whose output is known, so a retry
 * too many only costs time, while an error that is wrongly taken for permanent stops a capture for nothing. Permanent are
 * only errors that say that the position is gone, that the user lacks a right, or that the server cannot do it.
 */

import { MongoError, MongoNetworkError, MongoParseError, MongoServerError, MongoServerSelectionError } from "mongodb";

import { messageOf, MongotapError } from "../errors.ts";

/**
 * The error codes that decide something, by their names in the server. A code without an entry in this file is named
 * `Location` and its number: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
 */
export const ServerCode = {
  BadValue: 2,
  FailedToParse: 9,
  UserNotFound: 11,
  Unauthorized: 13,
  Overflow: 15,
  AuthenticationFailed: 18,
  IllegalOperation: 20,
  NoMatchingDocument: 47,
  MaxTimeMSExpired: 50,
  InvalidOptions: 72,
  CommandNotFound: 59,
  CommandNotSupported: 115,
  CommandNotSupportedOnView: 166,
  OptionNotSupportedOnView: 167,
  InvalidUUID: 207,
  NotImplemented: 238,
  SnapshotTooOld: 239,
  SnapshotUnavailable: 246,
  InvalidResumeToken: 260,
  ChangeStreamFatalError: 280,
  ChangeStreamHistoryLost: 286,
  APIStrictError: 323,
  MechanismUnavailable: 334,
  ChangeStreamNotEnabled: 376,
  AdmissionQueueOverflow: 433,
  RateLimitExceeded: 449,
  PooledConnectionAcquisitionRejected: 450,
  IngressRequestRateLimitExceeded: 462,
  ShardRemovedError: 464,
  /** Of Atlas, not of the server: a login or command that Atlas refuses. */
  AtlasError: 8000,
  BSONObjectTooLarge: 10334,
  Location40324: 40324,
  Location40415: 40415,
  Location40573: 40573,
  Location40646: 40646,
  Location40647: 40647,
  Location40648: 40648,
  Location40649: 40649,
  Location50793: 50793,
  Location50795: 50795,
  Location50796: 50796,
  Location50810: 50810,
  Location50811: 50811,
  Location50816: 50816,
  Location50870: 50870,
  Location50872: 50872,
  Location51055: 51055,
  Location51057: 51057,
  Location6189504: 6189504,
  Location7182500: 7182500,
} as const;

/** What the failed command was for, where that changes what its error means. */
export interface ErrorContext {
  /** The command carried the saved position. */
  readonly open?: boolean;
  /** The position is a token that the user has typed, and the stream has not found it yet. */
  readonly typed?: boolean;
  /** Where the requested changes begin, in words; for the message that they are gone. */
  readonly since?: string;
}

/** NonResumableChangeStreamError of error_codes.yml: the position is gone. */
const HISTORY_LOST = new Set<number>([
  ServerCode.ChangeStreamHistoryLost, // the oplog no longer holds the position
  ServerCode.ChangeStreamFatalError, // the event of the token is not there, or the filter hides it
  ServerCode.ShardRemovedError, // part of the history went with its shard
]);

/** Mean that the token is bad, but only in reply to a command that carried one. */
const BAD_TOKEN = new Set<number>([
  ServerCode.InvalidResumeToken,
  ServerCode.FailedToParse, // "not a valid hex string"
  ServerCode.Overflow, // the token ends too early
  ServerCode.InvalidUUID,
  ServerCode.Location40646, // "invalid oversized resume token"
  ServerCode.Location40647, // "Bad resume token"
  ServerCode.Location40648,
  ServerCode.Location40649, // "invalid empty resume token"
  ServerCode.Location50793, // "does not contain txnOpIndex", and so on for each part
  ServerCode.Location50795,
  ServerCode.Location50796,
  ServerCode.Location50810, // "KeyString format error", of several kinds
  ServerCode.Location50811,
  ServerCode.Location50816,
  ServerCode.Location50870,
  ServerCode.Location50872,
  ServerCode.Location51055,
  ServerCode.Location51057,
  ServerCode.Location6189504, // "Invalid high water mark token"
]);

const AUTH = new Set<number>([
  ServerCode.AuthenticationFailed,
  ServerCode.Unauthorized,
  ServerCode.AtlasError, // bad auth
  ServerCode.UserNotFound,
  ServerCode.MechanismUnavailable,
]);

const UNSUPPORTED = new Set<number>([
  ServerCode.Location40573, // "The $changeStream stage is only supported on replica sets"
  ServerCode.Location40324, // unrecognized pipeline stage
  ServerCode.CommandNotSupportedOnView,
  ServerCode.OptionNotSupportedOnView,
  ServerCode.APIStrictError,
  ServerCode.ChangeStreamNotEnabled,
  ServerCode.CommandNotSupported,
  ServerCode.CommandNotFound,
  ServerCode.Location40415, // unknown field of a stage
]);

/** What to do about a change that the server cannot send. */
export const TOO_LARGE_HINT =
  "With all that was asked for, this change is above what the server can send. Servers from 6.0.9 on split most of them. Else ask for less (--before none, or --full-document none as well), or pass over it: --on-bad-document skip or quarantine=FILE.";

/** With the hint for each. */
const DATA = new Map<number, string>([
  [ServerCode.BSONObjectTooLarge, TOO_LARGE_HINT],
  [ServerCode.Location7182500, TOO_LARGE_HINT], // "Splitting change event failed": a single field is too large
  [
    ServerCode.NoMatchingDocument,
    "The image of a document is gone, or its collection keeps none (changeStreamPreAndPostImages): go on with --full-document exact --accept-change.",
  ],
]);

/** What to do about a token that was typed and is of no use. */
export const TYPED_TOKEN_HINT =
  "Take the token from the _id of a change of the same collections (--envelope raw), or begin at a time. If a --state has kept the token, add --fresh.";

/** Of the category SystemOverloadedError; from 8.2 on the server also puts that label on them. */
const OVERLOADED = new Set<number>([
  ServerCode.AdmissionQueueOverflow,
  ServerCode.RateLimitExceeded,
  ServerCode.PooledConnectionAcquisitionRejected,
  ServerCode.IngressRequestRateLimitExceeded,
]);

/** The least and the most that an overloaded server makes a retry wait; in between the server decides. */
const MIN_OVERLOADED_MS = 1_000;
const MAX_OVERLOADED_MS = 60_000;

/** The server's error code of `error` or of one of its causes; undefined if it is not an error of the server. */
export function serverCodeOf(error: unknown): number | undefined {
  for (let e = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth += 1) {
    if (e instanceof MongoServerError && typeof e.code === "number") return e.code;
  }
  return undefined;
}

/**
 * Returns `error` as a MongotapError. `what` is the beginning of its message, such as "cannot read shop.orders".
 * Returns a MongotapError as it is. Anything that is neither the server's nor the network's becomes a `bug`.
 */
export function toMongotapError(error: unknown, what: string, context: ErrorContext = {}): MongotapError {
  if (error instanceof MongotapError) return error;
  if (error instanceof MongoServerError) return fromServerError(error, what, context);
  if (isUnreadableFile(error)) {
    return new MongotapError("config", `${what}: ${error.message}`, {
      hint: "Correct the path (tlsCAFile, tlsCertificateKeyFile) in the connection string.",
      cause: error,
    });
  }
  if (isMalformedReply(error)) {
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

function fromServerError(error: MongoServerError, what: string, context: ErrorContext): MongotapError {
  const code = typeof error.code === "number" ? error.code : 0;
  const message = firstSentence(error.message);
  const text = `${what}: ${message}${code === 0 ? "" : ` (server code ${code})`}`;
  if (context.typed === true && code === ServerCode.ChangeStreamFatalError) {
    return typedTokenError(
      "the token is not of this stream: no change of what was named has it, on this cluster",
      error,
    );
  }
  if (HISTORY_LOST.has(code) || error.hasErrorLabel("NonResumableChangeStreamError")) {
    return new MongotapError(
      "history-lost",
      `${what}: the server no longer holds the changes since ${context.since ?? "the saved position"} (server code ${code}: ${message})`,
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
  if (context.typed === true && BAD_TOKEN.has(code)) {
    return typedTokenError(`the server does not take this for a token (server code ${code}: ${message})`, error);
  }
  if (context.open === true && BAD_TOKEN.has(code)) {
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
  return new MongotapError("connect", text, {
    hint: "The server refused the command. Run again when it accepts it.",
    cause: error,
  });
}

function typedTokenError(reason: string, cause: MongoServerError): MongotapError {
  return new MongotapError("usage", `--start-at: ${reason}`, { hint: TYPED_TOKEN_HINT, cause });
}

/** https://github.com/mongodb/specifications/blob/master/source/client-backpressure/client-backpressure.md */
function retryAfterOf({ errorResponse }: MongoServerError): number {
  const asked = Number(errorResponse["baseBackoffMS"] ?? 0);
  return Number.isFinite(asked) ? Math.min(MAX_OVERLOADED_MS, Math.max(MIN_OVERLOADED_MS, asked)) : MIN_OVERLOADED_MS;
}

/** Cuts off the command that the server quotes where a privilege is missing: it is long and contains a signature. */
function firstSentence(message: string): string {
  return message.replace(/ to execute command \{.*$/s, "");
}

function isNoReplicaSet(error: MongoServerError, code: number): boolean {
  return (
    code === ServerCode.Location40573 || (code === ServerCode.IllegalOperation && /replica set/i.test(error.message))
  );
}

/** The driver opens certificate files when it first connects, and throws the file system's errors as they are. */
function isUnreadableFile(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return ("syscall" in error && error.syscall === "open") || ("code" in error && error.code === "EISDIR");
}

/** A header with an impossible length, or a reply that is not BSON; another connection may work. */
function isMalformedReply(error: unknown): error is Error {
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

/** The innermost message: the socket's or that of TLS, rather than "server selection timed out". */
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
