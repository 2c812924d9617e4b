/** Runs commands on the server: src/ calls the driver's `db.command` here only. */

import type { ClientSession, MongoClient } from "mongodb";

import { toMongotapError } from "./server-errors.ts";

export interface CommandOptions {
  readonly signal?: AbortSignal;
  readonly session?: ClientSession;
  /** Leaves documents and arrays of the reply as BSON: each is a Uint8Array. Values stay decoded. */
  readonly raw?: boolean;
  /** How the message of an error begins, such as "cannot read shop.orders". Without it errors stay as the driver throws them. */
  readonly what?: string;
}

export type CommandReply = Readonly<Record<string, unknown>>;

/**
 * Runs `command` on the database `db` of the primary; the driver does not retry it.
 * @throws the signal's reason once the signal has aborted; with `what` a MongotapError (server-errors.ts)
 */
export async function runCommand(
  client: MongoClient,
  db: string,
  command: Readonly<Record<string, unknown>>,
  { what, ...options }: CommandOptions = {},
): Promise<CommandReply> {
  options.signal?.throwIfAborted();
  try {
    return await client.db(db).command(command, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw what === undefined ? error : toMongotapError(error, what);
  }
}
