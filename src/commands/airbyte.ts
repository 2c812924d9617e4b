/**
 * `mongotap airbyte spec|check|discover|read`: a source of Airbyte's protocol.
 * https://docs.airbyte.com/understanding-airbyte/airbyte-protocol#the-common-interface
 */

import type { Settings } from "../config/options.ts";
import { helpOf, readArguments } from "../connectors/arguments.ts";
import { parseConfiguredCatalog } from "../connectors/airbyte/configured-catalog.ts";
import { errorTrace, logMessage } from "../connectors/airbyte/messages.ts";
import { readStreams } from "../connectors/airbyte/read.ts";
import { parseStates } from "../connectors/airbyte/state.ts";
import { type ConnectorCall, type Configured, configure } from "../connectors/connector-config.ts";
import { readJsonFile, readJsonLinesFile, readPlatformFile } from "../connectors/json-file.ts";
import { MessageOutput } from "../connectors/message-output.ts";
import { errorIn, hintIn, linesShown, platformText, WITHOUT_BEFORE } from "../connectors/platform-text.ts";
import { connectionSpecification } from "../connectors/spec.ts";
import { notExcluded } from "../connectors/wanted-streams.ts";
import { asWritten, type ValueSettings } from "../connectors/written-columns.ts";
import { type AirbyteStream, airbyteStreams } from "../discover/as-airbyte.ts";
import { asMongotapError, firstErrorOf, MongotapError } from "../errors.ts";
import { Stop } from "../lib/process.ts";
import { createLogger, type Logger, PLAIN } from "../observe/log.ts";
import { AIRBYTE_COLUMNS } from "../protocol/airbyte.ts";
import { openStdoutSink } from "../sink/stdout.ts";
import { findAll } from "./check.ts";
import { END_BY_SIGNAL, type PlatformCommand } from "./command.ts";
import { catalogOf, scopeFor } from "./discover-read.ts";

const DOCUMENTATION = "https://github.com/mongotap/mongotap/blob/main/docs/platforms.md";
const inWordsOfAirbyte = platformText(
  "refresh or clear the stream in Airbyte, so that it is copied again",
  WITHOUT_BEFORE,
);

interface Arguments {
  readonly verb: string;
  readonly config: string | undefined;
  readonly catalog: string | undefined;
  readonly state: string | undefined;
}

export const airbyte: PlatformCommand = async (call) => {
  await using output = new MessageOutput(await openStdoutSink({ fd: 1, refuseNull: false }), call.context.signal);
  const log = createLogger({
    level: "info",
    format: (level, message) => JSON.stringify(logMessage(level, inWordsOfAirbyte(message))),
    paint: PLAIN,
    write: (line) => void output.say(line.trimEnd()),
  });
  try {
    const args = argumentsOf(call.argv, output);
    return await run(args, { ...call, command: "airbyte", log }, output);
  } catch (thrown) {
    return await fail(thrown, { output, log, stderr: call.log });
  } finally {
    await output.written().catch(() => undefined);
  }
};

async function run(args: Arguments, call: ConnectorCall, output: MessageOutput): Promise<number> {
  switch (args.verb) {
    case "spec":
      await output.say({ type: "SPEC", spec: specification() });
      return 0;
    case "check":
      await output.say({ type: "CONNECTION_STATUS", connectionStatus: await statusOf(args, call) });
      return 0;
    case "discover": {
      await output.say({ type: "CATALOG", catalog: { streams: await streamsOf(await configured(args, call)) } });
      return 0;
    }
    case "read":
      return await read(args, call, output);
    default:
      throw new MongotapError("usage", unknownVerb(args.verb), { hint: helpOf("airbyte") });
  }
}

const OPTIONS = { config: { type: "string" }, catalog: { type: "string" }, state: { type: "string" } } as const;

function unknownVerb(verb: string): string {
  if (verb === "") return "airbyte needs a command: spec, check, discover or read";
  return `airbyte has no command ${JSON.stringify(verb)}: it has spec, check, discover and read`;
}

/** Platforms may add arguments: unknown ones are warnings. */
function argumentsOf(argv: readonly string[], output: MessageOutput): Arguments {
  const { values, words, notes } = readArguments("airbyte", argv, { options: OPTIONS, mostWords: 1 });
  // As they are: in the words of a platform a flag would become a key.
  for (const note of notes) void output.say(logMessage("warn", note));
  return { verb: words[0] ?? "", config: values["config"], catalog: values["catalog"], state: values["state"] };
}

function specification(): unknown {
  return {
    documentationUrl: DOCUMENTATION,
    protocol_version: "0.2.0",
    supportsIncremental: true,
    connectionSpecification: connectionSpecification("airbyte"),
  };
}

function needs(command: string, option: string): MongotapError {
  return new MongotapError("usage", `${command} needs ${option}`, { hint: helpOf("airbyte") });
}

async function configured({ verb, config }: Arguments, call: ConnectorCall): Promise<Configured> {
  if (config === undefined) throw needs(`airbyte ${verb}`, "--config FILE");
  const what = `--config ${config}`;
  return await configure(call, await readPlatformFile(config, what), "config");
}

/** A config or a server that does not work is an answer, not an error. */
async function statusOf(args: Arguments, call: ConnectorCall): Promise<{ status: string; message?: string }> {
  try {
    const { invocation } = await configured(args, call);
    const settings = { ...invocation.settings, out: "-", state: undefined };
    const findings = await findAll({ ...invocation, settings });
    const failed = findings.find(({ verdict }) => verdict === "fail");
    if (failed === undefined) return { status: "SUCCEEDED" };
    return { status: "FAILED", message: textOf(`${failed.name}: ${failed.detail}`, failed.remedy, call.log) };
  } catch (error) {
    if (!(error instanceof MongotapError) || error.kind === "bug") throw error;
    return { status: "FAILED", message: textOf(error.message, error.hint, call.log) };
  }
}

/** What has happened and what to do, for a user of Airbyte, without secrets. */
function textOf(message: string, remedy: string | undefined, log: Logger): string {
  const parts = [inWordsOfAirbyte(linesShown(message, log)), hintIn(inWordsOfAirbyte, remedy ?? "", log)];
  return parts.filter((part) => part !== "").join(". ");
}

async function streamsOf({ invocation, target }: Configured): Promise<readonly unknown[]> {
  const { settings, namespaces } = invocation;
  const scope = scopeFor(namespaces, settings.exclude);
  const discovery = { ...settings, as: "airbyte", diff: undefined, examples: "none" } as const;
  const streams = airbyteStreams(
    await catalogOf({ ...invocation, settings: discovery }, scope, target),
    settings.columns,
  );
  return streams.map((stream) => writtenStream(stream, settings));
}

/** Its columns as the settings write their values; `data` and those of the change stay what they are. */
function writtenStream(stream: AirbyteStream, settings: ValueSettings & Pick<Settings, "columns">): AirbyteStream {
  const { properties, ...rest } = stream.json_schema;
  const own: readonly string[] = settings.columns === "data" ? [...AIRBYTE_COLUMNS, "data"] : AIRBYTE_COLUMNS;
  const written = Object.entries(properties).map(
    ([name, column]) => [name, own.includes(name) ? column : asWritten(column, settings)] as const,
  );
  return { ...stream, json_schema: { ...rest, properties: Object.fromEntries(written) } };
}

async function read(args: Arguments, call: ConnectorCall, output: MessageOutput): Promise<number> {
  const { catalog, state } = args;
  if (catalog === undefined) throw needs("airbyte read", "--catalog FILE");
  const what = `--catalog ${catalog}`;
  const own = await configured(args, call);
  const streams = parseConfiguredCatalog(await readJsonFile(catalog, what), what);
  const isWhole = await readStreams({
    configured: own,
    catalog: notExcluded(streams, own.invocation.settings.exclude, what),
    states: parseStates(state === undefined ? undefined : await readJsonLinesFile(state, `--state ${state}`)),
    output,
  });
  return isWhole ? 0 : END_BY_SIGNAL;
}

interface Told {
  readonly output: MessageOutput;
  readonly log: Logger;
  /** For what the output cannot carry. */
  readonly stderr: Logger;
}

/** Tells the platform why, and resolves to the exit code. */
async function fail(thrown: unknown, { output, log, stderr }: Told): Promise<number> {
  const error = firstErrorOf(thrown);
  if (error instanceof Stop) return END_BY_SIGNAL;
  const known = asMongotapError(error);
  if (known.kind === "pipe") return known.exitCode;
  try {
    await output.say(errorTrace(known, textOf(known.message, known.hint, log)));
    await output.written();
  } catch (failure) {
    const { kind } = asMongotapError(failure);
    if (kind !== "pipe") stderr.fatal(errorIn(inWordsOfAirbyte, known, log)); // else its reader is gone
  }
  return known.exitCode;
}
