/** Runs commands on the server: src/ calls the driver's `db.command` here only. */

import type { ClientSession, MongoClient } from "mongodb";

import { RAW_FIELDS, RawFields } from "./raw-fields.ts";
import { toMongotapError } from "./server-errors.ts";

export interface CommandOptions {
  readonly signal?: AbortSignal;
  readonly session?: ClientSession;
  /** Leaves documents and arrays of the reply as BSON: each is a Uint8Array. Values stay decoded. */
  readonly raw?: boolean;
  /** BSON elements (type, name, NUL, value; concatenated) that are sent as they are, behind the fields of the command. */
  readonly rawFields?: Uint8Array;
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
  { what, rawFields, ...options }: CommandOptions = {},
): Promise<CommandReply> {
  options.signal?.throwIfAborted();
  const whole = rawFields === undefined ? command : { ...command, [RAW_FIELDS]: new RawFields(rawFields) };
  try {
    return await client.db(db).command(whole, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw what === undefined ? error : toMongotapError(error, what);
  }
}
