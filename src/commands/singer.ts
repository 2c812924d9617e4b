/**
 * `mongotap singer`: a Singer tap, for Meltano and other runners.
 * https://github.com/singer-io/getting-started/blob/master/docs/SPEC.md
 */

import { readArguments } from "../connectors/arguments.ts";
import { type ConnectorCall, type Configured, configure } from "../connectors/connector-config.ts";
import { readJsonFile, readPlatformFile } from "../connectors/json-file.ts";
import { MessageOutput } from "../connectors/message-output.ts";
import { errorIn, loggerIn, platformText, WITHOUT_BEFORE } from "../connectors/platform-text.ts";
import { parseCatalog } from "../connectors/singer/catalog.ts";
import { parseBookmarks } from "../connectors/singer/state.ts";
import { syncStreams } from "../connectors/singer/sync.ts";
import { connectionSpecification } from "../connectors/spec.ts";
import { notExcluded } from "../connectors/wanted-streams.ts";
import { asSinger } from "../discover/as-singer.ts";
import { firstErrorOf, MongotapError } from "../errors.ts";
import { Stop } from "../lib/process.ts";
import type { Logger } from "../observe/log.ts";
import { openStdoutSink } from "../sink/stdout.ts";
import { END_BY_SIGNAL, type PlatformCommand } from "./command.ts";
import { catalogOf, scopeFor } from "./discover-read.ts";
import { print } from "./print.ts";

const inWordsOfSinger = platformText("run with a full refresh", WITHOUT_BEFORE);

export const singer: PlatformCommand = async ({ argv, log, ...rest }) => {
  try {
    return await run(argumentsOf(argv, log), { ...rest, log: loggerIn(inWordsOfSinger, log), command: "singer" });
  } catch (thrown) {
    const error = firstErrorOf(thrown);
    if (error instanceof Stop) return END_BY_SIGNAL;
    throw error instanceof MongotapError ? errorIn(inWordsOfSinger, error, log) : error;
  }
};

async function run(args: Arguments, call: ConnectorCall): Promise<number> {
  const { version, signal } = call.context;
  if (args.about) {
    await print(aboutText(version, args.format));
    return 0;
  }
  const configured = await configuredBy(args.config, call);
  await using output = new MessageOutput(await openStdoutSink({ fd: 1, refuseNull: false }), signal);
  if (args.discover) {
    await output.say(await discoveredText(configured));
    return 0;
  }
  const isWhole = await syncStreams({
    configured,
    catalog: await wantedStreams(args.catalog, configured),
    bookmarks: parseBookmarks(
      args.state === undefined ? undefined : await readJsonFile(args.state, `--state ${args.state}`),
    ),
    output,
  });
  if (isWhole) await output.written();
  return isWhole ? 0 : END_BY_SIGNAL;
}

interface Arguments {
  readonly config: string | undefined;
  readonly catalog: string | undefined;
  readonly state: string | undefined;
  readonly discover: boolean;
  readonly about: boolean;
  readonly format: string | undefined;
}

const OPTIONS = {
  config: { type: "string", short: "c" },
  catalog: { type: "string" },
  properties: { type: "string", short: "p" },
  state: { type: "string", short: "s" },
  discover: { type: "boolean", short: "d" },
  about: { type: "boolean" },
  format: { type: "string" },
} as const;

/** `--properties` is the older name of `--catalog`. Runners may add arguments: unknown ones are warnings. */
function argumentsOf(argv: readonly string[], log: Logger): Arguments {
  const { values, switches, notes } = readArguments("singer", argv, { options: OPTIONS, mostWords: 0 });
  for (const note of notes) log.warn(note);
  const { config, catalog, properties, state, format } = values;
  if (format !== undefined && format !== "json" && format !== "markdown") {
    log.warn("--format is neither json nor markdown: it has no effect");
  }
  return {
    config,
    catalog: catalog ?? properties,
    state,
    discover: switches.has("discover"),
    about: switches.has("about"),
    format,
  };
}

async function configuredBy(path: string | undefined, call: ConnectorCall): Promise<Configured> {
  if (path === undefined) {
    throw new MongotapError("usage", "singer needs --config FILE", {
      hint: "`mongotap singer --about` prints the settings of this file.",
    });
  }
  return await configure(call, await readPlatformFile(path, `--config ${path}`), "config");
}

/** Without a catalog, all streams with all their fields. */
async function wantedStreams(
  path: string | undefined,
  configured: Configured,
): Promise<ReturnType<typeof parseCatalog>> {
  if (path !== undefined) {
    const what = `--catalog ${path}`;
    return notExcluded(
      parseCatalog(await readJsonFile(path, what), what),
      configured.invocation.settings.exclude,
      what,
    );
  }
  return parseCatalog(JSON.parse(await discoveredText(configured)), "the catalog");
}

async function discoveredText({ invocation, target }: Configured): Promise<string> {
  const { settings, namespaces } = invocation;
  const discovery = { ...settings, as: "singer", diff: undefined, examples: "none" } as const;
  const scope = scopeFor(namespaces, settings.exclude);
  return asSinger(await catalogOf({ ...invocation, settings: discovery }, scope, target)).trimEnd();
}

const CAPABILITIES = ["about", "catalog", "discover", "log-based", "properties", "state"];

function aboutText(version: string, format: string | undefined): string {
  const settings = connectionSpecification("singer");
  const description = "Reads MongoDB collections, and their changes from change streams.";
  const about = { name: "tap-mongotap", description, version, capabilities: CAPABILITIES, settings };
  if (format !== "markdown") return `${JSON.stringify(about, undefined, 2)}\n`;
  const properties = Object.entries(
    settings["properties"] as Readonly<Record<string, { readonly description?: string }>>,
  );
  const rows = properties.map(
    ([name, property]) => `| \`${name}\` | ${(property.description ?? "").replaceAll("|", "\\|")} |`,
  );
  const list = CAPABILITIES.map((capability) => `* \`${capability}\``);
  return [
    "# `tap-mongotap`",
    "",
    description,
    "",
    "## Capabilities",
    "",
    ...list,
    "",
    "## Settings",
    "",
    "| setting | description |",
    "|---|---|",
    ...rows,
    "",
  ].join("\n");
}
