/**
 * Checks a connection string before the driver sees it, because the driver's own messages can quote the password.
 * Spec: https://github.com/mongodb/specifications/blob/master/source/connection-string/connection-string-spec.md
 */

import { MongotapError } from "../errors.ts";

export interface ConnectionString {
  readonly uri: string;
  /** What may be shown: no user, no password. */
  readonly shown: string;
  /** Texts that must never be printed: the password as typed and as decoded. */
  readonly secrets: readonly string[];
  /** Names of the options that the string sets itself, in lower case. */
  readonly options: ReadonlySet<string>;
}

const SCHEME = /^(mongodb(?:\+srv)?):\/\//;

/** This build carries no native packages; the driver would only fail when it first needs one. */
const NEEDS_NATIVE: readonly (readonly [RegExp, string])[] = [
  [/authMechanism=GSSAPI/i, "Kerberos (authMechanism=GSSAPI)"],
  [/authMechanism=MONGODB-AWS/i, "AWS login (authMechanism=MONGODB-AWS)"],
  [/compressors=[^&]*snappy/i, "snappy compression"],
  [/compressors=[^&]*zstd/i, "zstd compression"],
];

/** @throws MongotapError `config` when the string cannot be used; the message never quotes user or password. */
export function parseConnectionString(text: string, from: string): ConnectionString {
  const uri = text.trim();
  const scheme = SCHEME.exec(uri);
  if (!scheme) throw invalid(from, "it does not begin with mongodb:// or mongodb+srv://");
  const rest = uri.slice(scheme[0].length);
  const at = rest.lastIndexOf("@");
  const userinfo = at < 0 ? "" : rest.slice(0, at);
  const tail = at < 0 ? rest : rest.slice(at + 1);
  const colon = userinfo.indexOf(":");
  const user = colon < 0 ? userinfo : userinfo.slice(0, colon);
  const password = colon < 0 ? "" : userinfo.slice(colon + 1);
  if (/[@/?#[\]]/.test(userinfo) || password.includes(":")) {
    throw invalid(from, "user name or password hold a character that must be percent-encoded (: / ? # [ ] @)");
  }
  const decoded = decode(password, from);
  decode(user, from);
  const hosts = tail.split(/[/?]/, 1)[0] ?? "";
  if (hosts === "") throw invalid(from, "the host is missing");
  for (const host of hosts.split(",")) checkHost(host, scheme[1] === "mongodb+srv", from);
  const query = tail.includes("?") ? tail.slice(tail.indexOf("?") + 1) : "";
  for (const [pattern, what] of NEEDS_NATIVE) {
    if (pattern.test(query))
      throw new MongotapError("unsupported", `${from}: this build has no ${what}`, {
        hint: "Leave it out of the connection string.",
      });
  }
  return {
    uri,
    shown: `${scheme[0]}${tail}`.replace(
      /([?&](?:proxyPassword|tlsCertificateKeyFilePassword|sslKeyFilePassword)=)[^&]*/gi,
      "$1***",
    ),
    secrets: [...new Set([password, decoded, encodeURIComponent(decoded), ...optionSecrets(query)])].filter(
      (s) => s !== "",
    ),
    options: new Set(query.split("&").map((pair) => (pair.split("=", 1)[0] ?? "").toLowerCase())),
  };
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
  for (const match of query.matchAll(
    /(?:^|&)(?:proxyPassword|tlsCertificateKeyFilePassword|sslKeyFilePassword)=([^&]*)/gi,
  )) {
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
