/**
 * Checks a connection string before the driver sees it, because the driver's own messages can quote the password. Adds the
 * user and password that are configured separately, and the options that are missing (see DEFAULTS).
 * Spec: https://github.com/mongodb/specifications/blob/master/source/connection-string/connection-string-spec.md
 */

import { MongotapError } from "../errors.ts";

export interface ConnectionString {
  readonly uri: string;
  /** For messages: without user and password. */
  readonly shown: string;
  /** Never to be printed: the password, as typed and decoded, and the values of secret options. */
  readonly secrets: readonly string[];
  /** The names of the options that the string itself sets, in lower case. */
  readonly options: ReadonlySet<string>;
  /** `name=value` of the options that were added because the string does not set them. */
  readonly added: readonly string[];
}

/** Settings that are not part of the string. They are not percent-encoded. */
export interface SeparateCredentials {
  readonly user?: Sourced;
  readonly password?: Sourced;
  /** The compressors to offer to the server, the preferred one first: `zstd,zlib`. */
  readonly compressors?: Sourced;
}

interface Sourced {
  readonly text: string;
  /** The flag, variable or key that sets it; for messages. */
  readonly from: string;
}

/**
 * Added if missing, never overridden, as Streamkap does. `w` is for writes, if mongotap is ever asked to make some.
 * `readPreference` is for the driver's own reads: mongotap's commands go to the primary in any case, because `db.command`
 * does not inherit it, and a cursor must be read where it was opened.
 */
const DEFAULTS: readonly (readonly [name: string, value: string])[] = [
  ["w", "majority"],
  ["readPreference", "primaryPreferred"],
];

const SECRET_OPTIONS = "proxyPassword|tlsCertificateKeyFilePassword|sslKeyFilePassword";

const SCHEME = /^(mongodb(?:\+srv)?):\/\//;

/**
 * Needs native packages, which this build does not include: refused here, since the driver would only fail at the first
 * use. zlib and zstd do not need one: the driver finds both in the runtime's `node:zlib` (docs/decisions/205-wire-compression.md).
 */
const NEEDS_NATIVE: readonly (readonly [pattern: RegExp, what: string, hint: string])[] = [
  [/authMechanism=GSSAPI/i, "Kerberos (authMechanism=GSSAPI)", "Leave it out of the connection string."],
  [/authMechanism=MONGODB-AWS/i, "AWS login (authMechanism=MONGODB-AWS)", "Leave it out of the connection string."],
  [/compressors=[^&]*snappy/i, "snappy compression", "Take zstd or zlib, or leave it out of the connection string."],
];

/**
 * Parses the connection string that the setting `from` contains, and merges the separate settings into it.
 * @throws MongotapError `config` when the string cannot be used; the message never quotes user or password.
 */
export function parseConnectionString(
  text: string,
  from: string,
  separate: SeparateCredentials = {},
): ConnectionString {
  const uri = text.trim();
  const scheme = SCHEME.exec(uri);
  if (!scheme) throw invalid(from, "it does not begin with mongodb:// or mongodb+srv://");
  const rest = uri.slice(scheme[0].length);
  const at = rest.lastIndexOf("@");
  const userinfo = at < 0 ? "" : rest.slice(0, at);
  const tail = at < 0 ? rest : rest.slice(at + 1);
  const login = mergeLogin(userinfo, from, separate);
  const hosts = tail.split(/[/?]/, 1)[0] ?? "";
  if (hosts === "") throw invalid(from, "the host is missing");
  for (const host of hosts.split(",")) checkHost(host, scheme[1] === "mongodb+srv", from);
  const query = tail.includes("?") ? tail.slice(tail.indexOf("?") + 1) : "";
  for (const [pattern, what, hint] of NEEDS_NATIVE) {
    if (pattern.test(query)) throw new MongotapError("unsupported", `${from}: this build has no ${what}`, { hint });
  }
  checkCompressors(query, from, separate.compressors);
  const options = new Set(pairsOf(query).map(([name]) => name.toLowerCase()));
  const wanted =
    separate.compressors === undefined ? DEFAULTS : [...DEFAULTS, ["compressors", separate.compressors.text]];
  const added = wanted
    .filter(([name = ""]) => !options.has(name.toLowerCase()))
    .map(([name, value]) => `${name}=${value}`);
  return {
    uri: `${scheme[0]}${login.userinfo}${withOptions(tail, added)}`,
    shown: `${scheme[0]}${tail}`.replace(new RegExp(`([?&](?:${SECRET_OPTIONS})=)[^&]*`, "gi"), "$1***"),
    secrets: [...new Set([...login.secrets, ...optionSecrets(query)])].filter((secret) => secret !== ""),
    options,
    added,
  };
}

/** `name=value` of every option in effect, including the added ones. Secret values are masked. */
export function effectiveOptions({ uri }: ConnectionString): string[] {
  const isSecret = new RegExp(`^(?:${SECRET_OPTIONS})$`, "i");
  const query = uri.slice(uri.lastIndexOf("@") + 1);
  return pairsOf(query.slice(query.indexOf("?") + 1)).map(
    ([name, value]) => `${name}=${isSecret.test(name) ? "***" : value}`,
  );
}

function pairsOf(query: string): (readonly [name: string, value: string])[] {
  return query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const equals = pair.indexOf("=");
      return equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
    });
}

/** Appends options to hosts, path and query of a connection string. */
function withOptions(tail: string, added: readonly string[]): string {
  if (added.length === 0) return tail;
  if (tail.includes("?")) return `${tail}${/[?&]$/.test(tail) ? "" : "&"}${added.join("&")}`;
  return `${tail}${tail.includes("/") ? "" : "/"}?${added.join("&")}`;
}

/** User and password, from the string or separate. Refuses each where both set it. */
function mergeLogin(
  userinfo: string,
  from: string,
  { user, password }: SeparateCredentials,
): { userinfo: string; secrets: readonly string[] } {
  const colon = userinfo.indexOf(":");
  const ownUser = colon < 0 ? userinfo : userinfo.slice(0, colon);
  const ownPassword = colon < 0 ? "" : userinfo.slice(colon + 1);
  if (/[@/?#[\]]/.test(userinfo) || ownPassword.includes(":")) {
    throw invalid(from, "user name or password hold a character that must be percent-encoded (: / ? # [ ] @)");
  }
  const decoded = decode(ownPassword, from);
  decode(ownUser, from);
  if (user !== undefined && ownUser !== "") throw twice("the user name", from, user.from);
  if (password !== undefined && ownPassword !== "") throw twice("the password", from, password.from);
  if (password !== undefined && user === undefined && ownUser === "") {
    throw new MongotapError("config", `${password.from} gives a password, but there is no user`, {
      hint: "Add the user: --user, MONGOTAP_USER or `user` in the config file.",
    });
  }
  const name = user === undefined ? ownUser : encodeURIComponent(user.text);
  const encoded = password === undefined ? ownPassword : encodeURIComponent(password.text);
  return {
    userinfo: name === "" ? "" : `${name}${encoded === "" ? "" : `:${encoded}`}@`,
    secrets: [ownPassword, decoded, encodeURIComponent(decoded), password?.text ?? "", encoded],
  };
}

function twice(what: string, from: string, other: string): MongotapError {
  return new MongotapError("config", `${what} stands both in ${from} and in ${other}`, { hint: "Say it once." });
}

/** Refuses two different settings instead of choosing one. */
function checkCompressors(query: string, from: string, separate: Sourced | undefined): void {
  const own = pairsOf(query).find(([name]) => name.toLowerCase() === "compressors")?.[1];
  if (separate === undefined || own === undefined || own.replaceAll(/%2c/gi, ",") === separate.text) return;
  throw new MongotapError("config", `${from} says compressors=${own}, and ${separate.from} says ${separate.text}`, {
    hint: "Say it once.",
  });
}

function checkHost(host: string, srv: boolean, from: string): void {
  const port = /^(?:\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d+))?$/i.exec(host);
  if (!port) throw invalid(from, "a host is not of the form name, name:port or [ipv6]:port");
  if (port[1] === undefined) return;
  if (srv) throw invalid(from, "mongodb+srv:// takes one host name without a port");
  if (Number(port[1]) < 1 || Number(port[1]) > 65535) throw invalid(from, `port ${port[1]} is not between 1 and 65535`);
}

function optionSecrets(query: string): string[] {
  const found: string[] = [];
  for (const match of query.matchAll(new RegExp(`(?:^|&)(?:${SECRET_OPTIONS})=([^&]*)`, "gi"))) {
    if (match[1]) found.push(match[1]);
  }
  return found;
}

function decode(text: string, from: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(from, "user name or password hold a % that does not begin a percent-encoded character (write %25)");
  }
}

function invalid(from: string, reason: string): MongotapError {
  return new MongotapError("config", `${from}: not a usable connection string: ${reason}`, {
    hint: "Example: mongodb://user:password@host:27017/?replicaSet=rs0",
  });
}
