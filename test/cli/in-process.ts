/** The command line without a process around it: for what is decided before any server is asked. */
import { runCli } from "../../src/cli.ts";
import { MongotapError } from "../../src/errors.ts";
import { createLogger, PLAIN } from "../../src/observe/log.ts";

/** No server listens there: a connection fails with `connect`. */
const UNREACHABLE = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100";

/** The error with which a command line ends in this very process. */
export async function errorOf(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<MongotapError> {
  const write = (): void => undefined;
  const refused = await runCli({
    argv,
    calledAs: "mongotap",
    env: { MONGOTAP_URI: UNREACHABLE, ...env },
    context: {
      version: "0",
      build: "from source",
      pid: process.pid,
      columns: 100,
      signal: new AbortController().signal,
      stdin: () => emptyInput(),
    },
    createLog: ({ logLevel, logFormat }) => createLogger({ level: logLevel, format: logFormat, paint: PLAIN, write }),
  }).catch((error: unknown) => error);
  if (!(refused instanceof MongotapError)) throw new Error(`${argv.join(" ")} was not refused: ${String(refused)}`);
  return refused;
}

async function* emptyInput(): AsyncGenerator<Uint8Array> {}
