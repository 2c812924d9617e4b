/**
 * The table of commands, and the dispatch. Commands, the help and the reader of flags are imported when they are used, so
 * that each command line loads only what it needs.
 */

import { basename } from "node:path";

import { command, type CommandRow, type PlatformRow } from "./commands/command.ts";
import type { Settings } from "./config/options.ts";
import { MongotapError } from "./errors.ts";
import { didYouMean } from "./lib/did-you-mean.ts";
import type { Logger } from "./observe/log.ts";
import type { ProcessContext } from "./run/invocation.ts";

const SSH = ["ssh", "sshKey", "sshPassphrase", "sshKnownHosts", "sshHostKey"] as const;
const LOGIN = ["user", "password", "passwordFile"] as const;
const SOURCE = ["uri", "uriFile", "address", ...LOGIN, "compressors", "config", "capture", ...SSH] as const;
const SELECTION = ["collectionsFile", "exclude"] as const;
const CHANGES = ["fullDocument", "before"] as const;
const LOG = ["logLevel", "logFormat"] as const;
const OUTPUT = ["out", "format", "envelope", "arrays", "documents", "strict", "onBadDocument"] as const;
const STATE = ["state", "fresh", "acceptChange", "waitLock", "skipIfLocked"] as const;
const BOUNDS = ["for", "limit", "retryFor", "maxMemory"] as const;
const SPLITTING = ["split", "shard", "ranges"] as const;
const READING = ["workers", "rateLimit", "maxLag"] as const;

export const COMMANDS = {
  discover: command({
    args: "[namespace...]",
    text: "list databases and collections with type, documents and size, and their fields from a sample",
    options: [...SOURCE, ...SELECTION, "sample", "sampleTime", "examples", "format", "as", "diff", ...LOG],
    forms: ["table", "json", "jsonschema", "flow", "airbyte", "singer", "html"],
    examples: [
      "mongotap discover",
      "mongotap discover shop.orders",
      "mongotap discover shop --as html > shop.html",
      "mongotap discover shop.orders --as jsonschema --format plain",
      "mongotap discover shop --as json > shop.json; mongotap discover --diff shop.json",
    ],
    load: async () => (await import("./commands/discover.ts")).discover,
  }),
  backfill: command({
    args: "<namespace...>",
    text: "copy what is there now, then end",
    options: [
      ...SOURCE,
      ...SELECTION,
      ...OUTPUT,
      ...STATE,
      ...BOUNDS,
      ...READING,
      ...SPLITTING,
      "allowMissing",
      ...LOG,
    ],
    examples: [
      "mongotap backfill shop.orders > orders.ndjson",
      "mongotap backfill shop --out export/",
      "mongotap backfill shop.orders --out orders.ndjson --state orders.state",
      "mongotap backfill shop.orders --out part-0.ndjson --shard 0/4 --ranges orders.ranges",
    ],
    load: async () => (await import("./commands/backfill.ts")).backfill,
  }),
  tail: command({
    args: "<namespace...>",
    text: "copy changes as they happen, until stopped",
    options: [
      ...SOURCE,
      ...SELECTION,
      ...OUTPUT,
      ...STATE,
      "startAt",
      "until",
      ...BOUNDS,
      ...CHANGES,
      "allowMissing",
      ...LOG,
    ],
    examples: [
      "mongotap tail shop.orders",
      "mongotap tail shop --out changes/ --state shop.state --until caught-up",
      "mongotap tail shop.orders --start-at 2026-01-31T12:00:00Z",
    ],
    load: async () => (await import("./commands/tail.ts")).tail,
  }),
  capture: command({
    args: "<namespace...>",
    text: "copy what is there, then changes as they happen; resumable at every step",
    options: [
      ...SOURCE,
      ...SELECTION,
      ...OUTPUT,
      ...STATE,
      "onHistoryLost",
      "until",
      ...BOUNDS,
      ...READING,
      ...CHANGES,
      "allowMissing",
      ...LOG,
    ],
    examples: [
      "mongotap capture shop.orders --out orders.ndjson --state orders.state",
      "mongotap capture shop --out shop/ --state shop.state --until caught-up",
      "mongotap capture --config flow.yaml --capture acmeCo/mongo --out acme/ --state acme.state",
    ],
    load: async () => (await import("./commands/capture.ts")).capture,
  }),
  check: command({
    args: "[namespace...]",
    text: "try everything that a run needs: connection, version, privileges, oplog window, state, output",
    options: [...SOURCE, ...SELECTION, "out", "state", "as", ...LOG],
    examples: ["mongotap check shop.orders", "mongotap check shop --out shop/ --state shop.state --as json"],
    load: async () => (await import("./commands/check.ts")).check,
  }),
  status: command({
    args: "",
    text: "a state file against the server: phases, rows, lag, and how near the position is to being lost",
    options: [...SOURCE, "state", "warnAt", "as", ...LOG],
    examples: ["mongotap status --state orders.state", "mongotap status --state orders.state --warn-at 50% --as json"],
    load: async () => (await import("./commands/status.ts")).status,
  }),
  "config-schema": command({
    args: "",
    text: "print the JSON Schema of the config file, for editors",
    options: [...LOG],
    examples: ["mongotap config-schema > mongotap.schema.json"],
    load: async () => (await import("./commands/config-schema.ts")).configSchema,
  }),
};

/** The commands that speak the protocol of a platform. */
export const PLATFORMS = {
  airbyte: {
    args: "spec|check|discover|read",
    text: "a source of Airbyte's protocol; the same as a link to mongotap with the name source-mongotap",
    words: [
      ["spec", "print the schema of the config"],
      ["check", "try the config and the server (--config)"],
      ["discover", "print the catalog of the streams (--config)"],
      ["read", "print the records and states of the configured streams (--config, --catalog, --state)"],
    ],
    flags: [
      ["--config FILE", "the config of the source; `airbyte spec` prints its schema"],
      ["--catalog FILE", "the configured catalog: the streams to read"],
      ["--state FILE", "the states that an earlier read has sent"],
    ],
    examples: [
      "mongotap airbyte discover --config config.json",
      "mongotap airbyte read --config config.json --catalog catalog.json --state state.json",
    ],
    load: async () => (await import("./commands/airbyte.ts")).airbyte,
  },
  singer: {
    args: "",
    text: "a Singer tap, for Meltano; the same as a link to mongotap with the name tap-mongotap",
    flags: [
      ["--config FILE", "the config of the tap; `singer --about` prints its schema"],
      ["--discover", "print the catalog"],
      ["--catalog FILE", "the streams and fields to read; without it, all (also as --properties)"],
      ["--state FILE", "the last state that an earlier run has sent"],
      ["--about", "print capabilities and settings, as JSON or with --format=markdown"],
    ],
    examples: [
      "mongotap singer --config config.json --discover > catalog.json",
      "mongotap singer --config config.json --catalog catalog.json --state state.json",
    ],
    load: async () => (await import("./commands/singer.ts")).singer,
  },
  flow: {
    args: "",
    text: "a capture connector of Estuary's Flow: requests as JSON on standard input, responses on standard output",
    flags: [],
    examples: [`echo '{"spec":{"config":{}}}' | mongotap flow`],
    load: async () => (await import("./commands/flow.ts")).flow,
  },
} satisfies Record<string, PlatformRow>;

/** The names of links to the program that choose a protocol: clients run one path, and append their own arguments. */
const LINKS: Readonly<Record<string, string>> = { "source-mongotap": "airbyte", "tap-mongotap": "singer" };

export { END_BY_SIGNAL } from "./commands/command.ts";

export interface CliInput {
  readonly argv: readonly string[];
  /** The name or path with which the program was called. */
  readonly calledAs: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly context: ProcessContext;
  readonly createLog: (settings: Pick<Settings, "logLevel" | "logFormat">) => Logger;
}

/**
 * Runs one command line and resolves to its exit code.
 * @throws MongotapError for a failure, with a message for the user
 */
export async function runCli({ argv: typed, calledAs, env, context, createLog }: CliInput): Promise<number> {
  const link = LINKS[basename(calledAs).replace(/\.exe$/, "")];
  const argv = link === undefined ? typed : [link, ...typed];
  const answered = await aboutItself(argv, context);
  if (answered !== undefined) return answered;
  const [name] = argv;
  if (name === undefined || name.startsWith("-")) {
    throw new MongotapError("usage", `the command comes first, before ${name ?? ""}`);
  }
  if (isPlatform(name)) {
    const log = createLog(platformLog(name, env));
    const runPlatform = await PLATFORMS[name].load();
    return await runPlatform({ argv: argv.slice(1), env, context, log });
  }
  return await runCommand(commandName(name), argv.slice(1), { env, context, createLog });
}

/** Prints what is asked about the program itself; undefined where the command line asks for something else. */
async function aboutItself(argv: readonly string[], context: ProcessContext): Promise<number | undefined> {
  if (argv.includes("--version") || argv[0] === "-v") {
    const { print } = await import("./commands/print.ts");
    await print(`mongotap ${context.version} (${context.build})\n`);
    return 0;
  }
  if (argv[0] === "--licenses") {
    const { licenses } = await import("./commands/licenses.ts");
    return await licenses();
  }
  if (argv[0] === "completion") {
    const { completion } = await import("./commands/completion.ts");
    return await completion(COMMANDS, argv.slice(1));
  }
  const wantsHelp = argv.includes("--help") || argv.includes("-h") || argv[0] === "help";
  if (!wantsHelp && argv.length > 0) return undefined;
  const { printHelp } = await import("./help.ts");
  const topic = argv[0] === "help" ? argv[1] : argv.find((arg) => !arg.startsWith("-"));
  const known = topic === undefined || isPlatform(topic) ? topic : commandName(topic);
  await printHelp(COMMANDS, PLATFORMS, known, context.columns);
  return wantsHelp ? 0 : 2;
}

async function runCommand(
  name: keyof typeof COMMANDS,
  argv: readonly string[],
  { env, context, createLog }: Pick<CliInput, "env" | "context" | "createLog">,
): Promise<number> {
  const row: CommandRow = COMMANDS[name];
  const { logSettings, resolveRun } = await import("./config/resolve.ts");
  const { readFlags } = await import("./flags.ts");
  const flags = readFlags(name, row, argv);
  createLog(logSettings(flags.flags, env)); // so that problems with the rest are logged in the right form
  const { settings, namespaces, targets, secrets, notes } = await resolveRun({
    command: name,
    options: row.options,
    env,
    ...flags,
  });
  if (row.args.startsWith("<") && namespaces.length === 0) {
    throw new MongotapError("usage", `${name} needs to know what to read: db.collection, db.* or db`, {
      hint: `Example: ${row.examples[0] ?? ""}`,
    });
  }
  const { forms = ["table", "json"] } = row;
  if (!forms.includes(settings.as)) {
    throw new MongotapError("usage", `${name} does not print as ${settings.as}`, {
      hint: `It takes ${forms.join(" or ")}.`,
    });
  }
  const log = createLog(settings);
  log.hide(secrets);
  for (const note of notes) log.warn(note);
  const run = await row.load();
  return run({ command: name, namespaces, targets, settings, log, context });
}

/** @throws MongotapError `usage` for a command that does not exist */
function commandName(typed: string): keyof typeof COMMANDS {
  if (isCommand(typed)) return typed;
  const names = [...Object.keys(COMMANDS), ...Object.keys(PLATFORMS)];
  const near = didYouMean(typed, names);
  throw new MongotapError("usage", `there is no command ${JSON.stringify(typed)}`, {
    hint: near === undefined ? `Commands: ${names.join(", ")}.` : `Did you mean ${near}?`,
  });
}

function isCommand(name: string): name is keyof typeof COMMANDS {
  return Object.hasOwn(COMMANDS, name);
}

function isPlatform(name: string): name is keyof typeof PLATFORMS {
  return Object.hasOwn(PLATFORMS, name);
}

/** Flow says by these variables how it wants to be logged to, and takes a text that begins with a space for a signal. */
function platformLog(name: string, env: CliInput["env"]): Pick<Settings, "logLevel" | "logFormat"> {
  const isJson = name === "flow" && env["LOG_FORMAT"] !== "text";
  const level = (env["LOG_LEVEL"] ?? "").toLowerCase();
  const isKnown = level === "debug" || level === "warn" || level === "error";
  const logLevel = isKnown ? level : level === "trace" ? "debug" : "info";
  return { logLevel: name === "flow" ? logLevel : "info", logFormat: isJson ? "json" : "text" };
}
