/**
 * The command table; from it the help (help.ts) and the dispatch. Nothing heavy is imported here: each command brings
 * its own, and so do the help and what reads flags.
 */

import type { CommandRow } from "./commands/command.ts";
import type { ProcessContext } from "./run/invocation.ts";
import type { Settings } from "./config/options.ts";
import { MongotapError } from "./errors.ts";
import { nearest } from "./lib/nearest.ts";
import type { Logger } from "./observe/log.ts";

const SSH = ["ssh", "sshKey", "sshPassphrase", "sshKnownHosts", "sshHostKey"] as const;
const LOGIN = ["user", "password", "passwordFile"] as const;
const SOURCE = ["uri", "uriFile", "address", ...LOGIN, "compressors", "config", "capture", ...SSH] as const;
const WHAT = ["collectionsFile", "exclude"] as const;
const CHANGES = ["fullDocument", "before"] as const;
const SEEING = ["logLevel", "logFormat"] as const;
const OUTPUT = ["out", "format", "envelope", "arrays", "documents", "strict", "onBadDocument"] as const;
const STATE = ["state", "fresh", "acceptChange", "waitLock", "skipIfLocked"] as const;
const BOUNDS = ["for", "limit", "retryFor", "maxMemory"] as const;
const PARTS = ["split", "shard", "ranges"] as const;
const PACE = ["workers", "rateLimit", "maxLag"] as const;

export const COMMANDS: Readonly<Record<string, CommandRow>> = {
  discover: {
    args: "[namespace...]",
    text: "list databases and collections with type, documents and size, and their fields from a sample",
    options: [...SOURCE, ...WHAT, "sample", "sampleTime", "examples", "format", "as", "diff", ...SEEING],
    forms: ["table", "json", "jsonschema", "flow", "airbyte", "singer", "html"],
    examples: [
      "mongotap discover",
      "mongotap discover shop.orders",
      "mongotap discover shop --as html > shop.html",
      "mongotap discover shop.orders --as jsonschema --format plain",
      "mongotap discover shop --as json > shop.json; mongotap discover --diff shop.json",
    ],
    load: async () => (await import("./commands/discover.ts")).discover,
  },
  backfill: {
    args: "<namespace...>",
    text: "copy what is there now, then end",
    options: [...SOURCE, ...WHAT, ...OUTPUT, ...STATE, ...BOUNDS, ...PACE, ...PARTS, "allowMissing", ...SEEING],
    examples: [
      "mongotap backfill shop.orders > orders.ndjson",
      "mongotap backfill shop --out export/",
      "mongotap backfill shop.orders --out orders.ndjson --state orders.state",
      "mongotap backfill shop.orders --out part-0.ndjson --shard 0/4 --ranges orders.ranges",
    ],
    load: async () => (await import("./commands/backfill.ts")).backfill,
  },
  tail: {
    args: "<namespace...>",
    text: "copy changes as they happen, until stopped",
    options: [
      ...SOURCE,
      ...WHAT,
      ...OUTPUT,
      ...STATE,
      "startAt",
      "until",
      ...BOUNDS,
      ...CHANGES,
      "allowMissing",
      ...SEEING,
    ],
    examples: [
      "mongotap tail shop.orders",
      "mongotap tail shop --out changes/ --state shop.state --until caught-up",
      "mongotap tail shop.orders --start-at 2026-01-31T12:00:00Z",
    ],
    load: async () => (await import("./commands/tail.ts")).tail,
  },
  capture: {
    args: "<namespace...>",
    text: "copy what is there, then changes as they happen; resumable at every step",
    options: [
      ...SOURCE,
      ...WHAT,
      ...OUTPUT,
      ...STATE,
      "onHistoryLost",
      "until",
      ...BOUNDS,
      ...PACE,
      ...CHANGES,
      "allowMissing",
      ...SEEING,
    ],
    examples: [
      "mongotap capture shop.orders --out orders.ndjson --state orders.state",
      "mongotap capture shop --out shop/ --state shop.state --until caught-up",
      "mongotap capture --config flow.yaml --capture acmeCo/mongo --out acme/ --state acme.state",
    ],
    load: async () => (await import("./commands/capture.ts")).capture,
  },
  check: {
    args: "[namespace...]",
    text: "try everything that a run needs: connection, version, privileges, oplog window, state, output",
    options: [...SOURCE, ...WHAT, "out", "state", "as", "json", ...SEEING],
    examples: ["mongotap check shop.orders", "mongotap check shop --out shop/ --state shop.state --as json"],
    load: async () => (await import("./commands/check.ts")).check,
  },
  status: {
    args: "",
    text: "a state file against the server: phases, rows, lag, and how near the position is to being lost",
    options: [...SOURCE, "state", "warnAt", "as", ...SEEING],
    examples: ["mongotap status --state orders.state", "mongotap status --state orders.state --warn-at 50% --as json"],
    load: async () => (await import("./commands/status.ts")).status,
  },
  "config-schema": {
    args: "",
    text: "print the JSON Schema of the config file, for editors",
    options: [...SEEING],
    examples: ["mongotap config-schema > mongotap.schema.json"],
    load: async () => (await import("./commands/config-schema.ts")).configSchema,
  },
};

export interface CliInput {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly context: ProcessContext;
  readonly createLog: (settings: Pick<Settings, "logLevel" | "logFormat">) => Logger;
}

/**
 * Runs one command line and resolves to its exit code.
 * @throws MongotapError for everything that the user should be told
 */
export async function runCli({ argv, env, context, createLog }: CliInput): Promise<number> {
  const name = argv.find((arg) => !arg.startsWith("-"));
  if (argv.includes("--version") || argv[0] === "-v") {
    const { print } = await import("./commands/print.ts");
    await print(`mongotap ${context.version}\n`);
    return 0;
  }
  const wantsHelp = argv.includes("--help") || argv.includes("-h") || argv[0] === "help";
  if (wantsHelp || argv.length === 0) {
    const { printHelp } = await import("./help.ts");
    const topic = argv[0] === "help" ? argv[1] : name;
    await printHelp(COMMANDS, topic === undefined ? undefined : commandName(topic), context.columns);
    return wantsHelp ? 0 : 2;
  }
  if (name === undefined || argv[0] !== name) {
    throw new MongotapError("usage", `the command comes first, before ${argv[0] ?? ""}`);
  }
  const row = COMMANDS[commandName(name)];
  if (!row) throw new MongotapError("bug", `no row for the command ${name}`);
  const { logSettings, resolveRun } = await import("./config/resolve.ts");
  const { readFlags } = await import("./flags.ts");
  const typed = readFlags(name, row, argv.slice(1));
  createLog(logSettings(typed.flags, env)); // so that faults in the rest are told in the form that was asked for
  const { settings, namespaces, targets, secrets, notes } = await resolveRun({
    command: name,
    options: row.options,
    env,
    ...typed,
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
  const command = await row.load();
  return command({ command: name, namespaces, targets, settings, log, context });
}

function commandName(typed: string): string {
  if (Object.hasOwn(COMMANDS, typed)) return typed;
  const near = nearest(typed, Object.keys(COMMANDS));
  throw new MongotapError("usage", `there is no command ${JSON.stringify(typed)}`, {
    hint: near === undefined ? `Commands: ${Object.keys(COMMANDS).join(", ")}.` : `Did you mean ${near}?`,
  });
}
