/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `mongotap/testing`: a real replica set for tests, and a recorder of the changes that the code under test makes.
 * Runs under Node.js and Bun, with any test runner. docs/testing.md describes it.
 */

import { checkOptions, oneOf, text, textsByName, wholeNumber } from "./arguments.ts";

export { type Change, type ChangeRecorder, recordChanges, type RecordOptions } from "./recorder.ts";

export interface ReplicaSetOptions {
  /** How many members the set has: `1` or `3`. Default: `1` */
  readonly members?: 1 | 3;
  /** Exactly this version of the server, such as `"7.0.14"`. Default: any from 5.0 on */
  readonly version?: string;
  /** The port of the first member; the others follow it. Default: free ports */
  readonly port?: number;
  /** Server parameters, as `--setParameter` sets them. Test commands (fail points) are on. Default: none */
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface ReplicaSet {
  /** The connection string of the set. */
  readonly uri: string;
  /** The version of the server, such as `7.0.14`. */
  readonly version: string;
  /** Kills the servers and removes their files. The end of the process, even by `kill -9`, does the same. */
  stop(): Promise<void>;
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a replica set on this machine, with data that is removed at its end. Resolves when it takes writes.
 *
 * The `mongod` is the one that `MONGOTAP_MONGOD` names, one on the `PATH`, or one that `mongodb-memory-server-core`
 * downloads once into the user's cache folder. Rejects with a TypeError or a RangeError for options that it does not take.
 */
export async function startReplicaSet(options: ReplicaSetOptions = {}): Promise<ReplicaSet> {
  checkOptions("startReplicaSet(options)", options, {
    members: oneOf(1, 3),
    version: text,
    port: wholeNumber(1, 65_535),
    parameters: textsByName,
  });
  if (process.platform === "win32") throw new Error("startReplicaSet() runs on Linux and macOS only");
  const { startReplicaSet: start } = await import("./mongod/replica-set.ts").catch(explainMissingDriver);
  const { members = 1, version, port, parameters } = options;
  const set = await start({ members, version, port, parameters });
  return {
    uri: set.uri,
    version: set.version,
    stop: () => set.stop(),
    [Symbol.asyncDispose]: () => set.stop(),
  };
}

function explainMissingDriver(error: unknown): never {
  if (
    error instanceof Error &&
    "code" in error &&
    error.code === "ERR_MODULE_NOT_FOUND" &&
    /mongodb/.test(error.message)
  ) {
    throw new Error("startReplicaSet() needs the driver: npm install --save-dev mongodb", { cause: error });
  }
  throw error;
}
