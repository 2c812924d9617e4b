/** Checks of the connection itself, once there is one: whether it is encrypted, and as whom we are logged in. */

import type { MongoClient } from "mongodb";

import { runCommand } from "../connect/run-command.ts";
import { toMongotapError } from "../connect/server-errors.ts";
import { type Check, fail, type Finding, ok, warn } from "./check.ts";

export function connectionChecks(client: MongoClient): readonly Check[] {
  return [
    { name: "TLS", run: () => Promise.resolve(checkTls(client)) },
    { name: "login", run: () => checkLogin(client) },
  ];
}

const OWN_HOSTS = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|.*\.sock)$/;

function checkTls(client: MongoClient): Finding {
  const { tls, rejectUnauthorized, hosts } = client.options;
  if (tls && rejectUnauthorized === false) {
    return warn(
      "on, but nothing is verified",
      "Leave out tlsInsecure and tlsAllow…; name your authority with tlsCAFile=FILE.",
    );
  }
  if (tls) return ok("on, certificate and host name verified");
  if (hosts.every((host) => OWN_HOSTS.test(host.host ?? ""))) return ok("off, on this machine only");
  return warn("off: documents and login travel in the clear", "Add tls=true to the connection string, or use --ssh.");
}

async function checkLogin(client: MongoClient): Promise<Finding> {
  try {
    const reply = await runCommand(client, "admin", { connectionStatus: 1 });
    const info = reply["authInfo"] as { authenticatedUsers?: readonly { user: string; db: string }[] } | undefined;
    const [user] = info?.authenticatedUsers ?? [];
    return ok(user ? `as ${user.user}, known to ${user.db}` : "none: nobody has to log in, or nobody did");
  } catch (error) {
    const { kind, message, hint } = toMongotapError(error, "cannot ask who is logged in");
    return fail(kind, message, hint);
  }
}
