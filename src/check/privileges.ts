/** Checks of privileges. Each command of a run is tried, because roles can grant a privilege in many ways. */

import type { MongoClient } from "mongodb";

import { runCommand } from "../connect/run-command.ts";
import { ServerCode, serverCodeOf, toMongotapError } from "../connect/server-errors.ts";
import { bindingText, streamTarget } from "../source/bindings.ts";
import type { Binding } from "../source/record.ts";
import { type Check, fail, type Finding, ok, warn } from "./finding.ts";

/** A command that is tried. */
interface Attempt {
  readonly name: string;
  /** No run works without it. */
  readonly needed: boolean;
  readonly command: Record<string, unknown>;
  readonly db: string;
  /** What is lost without it, for the warning. */
  readonly loss?: string;
}

/** The checks of the privileges for a run that reads `bindings`. They change nothing on the server. */
export function privilegeChecks(client: MongoClient, bindings: readonly Binding[]): readonly Check[] {
  return attemptsFor(bindings).map((attempt) => ({
    name: attempt.name,
    run: () => tryOne(client, attempt, bindings),
  }));
}

function attemptsFor(bindings: readonly Binding[]): Attempt[] {
  const attempts: Attempt[] = [];
  for (const db of new Set(bindings.map((binding) => binding.db))) {
    attempts.push({
      name: `list ${db}`,
      needed: true,
      db,
      command: { listCollections: 1, nameOnly: true, authorizedCollections: true },
    });
  }
  for (const binding of bindings) {
    if (binding.collection === undefined) continue;
    const text = bindingText(binding);
    attempts.push({
      name: `read ${text}`,
      needed: true,
      db: binding.db,
      command: { find: binding.collection, limit: 1, singleBatch: true },
    });
    attempts.push({
      name: `size ${text}`,
      needed: false,
      db: binding.db,
      command: { collStats: binding.collection },
      loss: "sizes are not shown and the length of a backfill cannot be foretold",
    });
  }
  if (bindings.length > 0) {
    const { scope, db, aggregate } = streamTarget(bindings);
    const stage = scope === "cluster" ? { allChangesForCluster: true } : {};
    const names = { cluster: "the cluster", database: db, collection: `${db}.${aggregate}` };
    attempts.push({
      name: `watch ${names[scope]}`,
      needed: true,
      db,
      command: { aggregate, pipeline: [{ $changeStream: stage }], cursor: { batchSize: 0 } },
    });
  }
  attempts.push({
    name: "read the oplog",
    needed: false,
    db: "local",
    command: { find: "oplog.rs", limit: 1, singleBatch: true },
    loss: "how long a capture may be down cannot be told",
  });
  return attempts;
}

async function tryOne(
  client: MongoClient,
  { command, db, needed, loss }: Attempt,
  bindings: readonly Binding[],
): Promise<Finding> {
  try {
    await runCommand(client, db, command);
    return ok("allowed");
  } catch (error) {
    const known = toMongotapError(error, "refused");
    if (serverCodeOf(error) === ServerCode.Unauthorized || known.kind === "auth") {
      if (!needed) return warn(`not allowed: ${loss ?? "something is not shown"}`, roleFor(bindings));
      return fail("auth", "not allowed", roleFor(bindings));
    }
    // The collection or command is missing: other checks report that better.
    return needed ? fail(known.kind, known.message, known.hint) : warn(known.message, known.hint);
  }
}

/**
 * A role with the needed privileges, ready to paste into mongosh. A change stream on a database needs `find` and
 * `changeStream` on all of its collections.
 * https://www.mongodb.com/docs/manual/changeStreams/#access-control
 */
function roleFor(bindings: readonly Binding[]): string {
  const privileges = [...new Set(bindings.map((binding) => binding.db))].map(
    (db) =>
      `    { resource: { db: ${JSON.stringify(db)}, collection: "" }, actions: ["find", "changeStream", "listCollections", "collStats"] },`,
  );
  const cluster =
    streamTarget(bindings).scope === "cluster"
      ? [`    { resource: { db: "", collection: "" }, actions: ["find", "changeStream"] },`]
      : [];
  return [
    "In mongosh, as an administrator:",
    "  use admin",
    '  db.createRole({ role: "mongotap", roles: [], privileges: [',
    ...privileges,
    ...cluster,
    `    { resource: { db: "local", collection: "oplog.rs" }, actions: ["find"] },`,
    "  ] })",
    '  db.grantRolesToUser("<user>", ["mongotap"])',
    "On Atlas: Database Access → the user → specific privileges: readAnyDatabase, and read on the database local.",
  ].join("\n");
}
