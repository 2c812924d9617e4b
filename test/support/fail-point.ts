/** Lets a real server fail commands on demand, by its `failCommand` fail point. */
import { type Document, type MongoClient, MongoServerError } from "mongodb";

export interface FailCommandOptions {
  readonly failCommands: readonly string[];
  /** The error that the server answers with. */
  readonly errorCode?: number;
  /** Exactly these labels. Without them the server labels the error as it would a real one. */
  readonly errorLabels?: readonly string[];
  /** The server closes the connection instead of answering. */
  readonly closeConnection?: boolean;
  /** The server waits this long before it fails, or, without an error, before it answers. */
  readonly blockTimeMS?: number;
  /** Only commands of clients that connected with this `appName`. */
  readonly appName?: string;
  /** How often; default: `alwaysOn`. Only one of these four. */
  readonly times?: number;
  readonly alwaysOn?: boolean;
  /** Lets this many through, then fails all. */
  readonly skip?: number;
  readonly activationProbability?: number;
}

export interface FailPoint extends AsyncDisposable {
  /** Resolves when the fail point has triggered `times` times since it was set; rejects after `timeoutMs`. */
  waitForHits(times: number, timeoutMs?: number): Promise<void>;
  /** Switches it off before its block ends. Safe to call twice. */
  off(): Promise<void>;
}

/**
 * `await using failPoint = await failCommand(client, …)`. It acts on the server that `client` sends commands to (the
 * primary; another member by a client with `directConnection`). One at a time: a second one replaces the first.
 */
export async function failCommand(client: MongoClient, options: FailCommandOptions): Promise<FailPoint> {
  const { failCommands, errorCode, errorLabels, closeConnection, blockTimeMS, appName } = options;
  const data: Document = { failCommands };
  if (errorCode !== undefined) data["errorCode"] = errorCode;
  if (errorLabels !== undefined) data["errorLabels"] = errorLabels;
  if (closeConnection !== undefined) data["closeConnection"] = closeConnection;
  if (blockTimeMS !== undefined) Object.assign(data, { blockConnection: true, blockTimeMS });
  if (appName !== undefined) data["appName"] = appName;
  const before = await configure(client, { mode: modeOf(options), data });

  let isOn = true;
  const off = async (): Promise<void> => {
    if (!isOn) return;
    isOn = false;
    await configure(client, { mode: "off" });
  };
  return {
    off,
    async waitForHits(times, timeoutMs = 15_000) {
      const timesEntered = before + times;
      await client.db("admin").command({ waitForFailPoint: "failCommand", timesEntered, maxTimeMS: timeoutMs });
    },
    [Symbol.asyncDispose]: off,
  };
}

function modeOf({ times, alwaysOn, skip, activationProbability }: FailCommandOptions): unknown {
  const modes = [
    ...(times === undefined ? [] : [{ times }]),
    ...(skip === undefined ? [] : [{ skip }]),
    ...(activationProbability === undefined ? [] : [{ activationProbability }]),
    ...(alwaysOn === true ? ["alwaysOn"] : []),
  ];
  if (modes.length > 1) throw new Error("a fail point has one mode: times, skip, activationProbability or alwaysOn");
  return modes[0] ?? "alwaysOn";
}

/** Resolves with how often the fail point had triggered before. */
async function configure(client: MongoClient, settings: Document): Promise<number> {
  try {
    const reply = await client.db("admin").command({ configureFailPoint: "failCommand", ...settings });
    return Number(reply["count"]);
  } catch (error) {
    if (!(error instanceof MongoServerError)) throw error;
    throw new Error(`the server has no failCommand (start it with enableTestCommands=1): ${error.message}`, {
      cause: error,
    });
  }
}
