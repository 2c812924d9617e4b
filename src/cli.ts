/**
 * The command table; from it the help (printed by cac) and the dispatch. Values are read by `node:util` parseArgs,
 * because cac turns `00123` into a number and lets unknown commands pass in silence (docs/decisions/002-cli.md).
 * Nothing heavy is imported here: each command brings its own.
 */

import { parseArgs } from "node:util";

import type { Command, World } from "./commands/command.ts";
import type { OptionRow } from "./config/option-row.ts";
import type { OptionName, Settings } from "./config/options.ts";
import type { TypedFlags } from "./config/resolve.ts";
import { MongotapError } from "./errors.ts";
import { nearest } from "./lib/nearest.ts";
import type { Logger } from "./observe/log.ts";

export interface CommandRow {
  readonly args: string;
  readonly text: string;
  readonly options: readonly OptionName[];
  /** What `--as` takes, where that is more than table and json. */
  readonly forms?: readonly Settings["as"][];
  readonly examples: readonly string[];
  readonly load: () => Promise<Command>;
}

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
  readonly world: World;
  readonly createLog: (settings: Pick<Settings, "logLevel" | "logFormat">) => Logger;
}

/**
 * Runs one command line and resolves to its exit code.
 * @throws MongotapError for everything that the user should be told
 */
export async function runCli({ argv, env, world, createLog }: CliInput): Promise<number> {
  const name = argv.find((arg) => !arg.startsWith("-"));
  if (argv.includes("--version") || argv[0] === "-v") {
    const { print } = await import("./commands/print.ts");
    await print(`mongotap ${world.version}\n`);
    return 0;
  }
  const wantsHelp = argv.includes("--help") || argv.includes("-h") || argv[0] === "help";
  if (wantsHelp || argv.length === 0) {
    const { printHelp } = await import("./help.ts");
    const topic = argv[0] === "help" ? argv[1] : name;
    await printHelp(COMMANDS, topic === undefined ? undefined : commandName(topic), world.columns);
    return wantsHelp ? 0 : 2;
  }
  if (name === undefined || argv[0] !== name) {
    throw new MongotapError("usage", `the command comes first, before ${argv[0] ?? ""}`);
  }
  const row = COMMANDS[commandName(name)];
  if (!row) throw new MongotapError("bug", `no row for the command ${name}`);
  const { OPTIONS } = await import("./config/options.ts");
  const { logSettings, resolveRun } = await import("./config/resolve.ts");
  const typed = readFlags(name, row, OPTIONS, argv.slice(1));
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
  return command({ command: name, namespaces, targets, settings, log, world });
}

function commandName(typed: string): string {
  if (Object.hasOwn(COMMANDS, typed)) return typed;
  const near = nearest(typed, Object.keys(COMMANDS));
  throw new MongotapError("usage", `there is no command ${JSON.stringify(typed)}`, {
    hint: near === undefined ? `Commands: ${Object.keys(COMMANDS).join(", ")}.` : `Did you mean ${near}?`,
  });
}

interface ReadFlags {
  readonly flags: TypedFlags;
  readonly namespaces: readonly string[];
}

function readFlags(
  command: string,
  row: CommandRow,
  table: Readonly<Record<OptionName, OptionRow>>,
  argv: readonly string[],
): ReadFlags {
  const known = row.options.map((name) => table[name]).filter((option) => option.flagless !== true);
  const options = Object.fromEntries(
    known.map((o) => [o.flag, { type: o.value === undefined ? "boolean" : "string" } as const]),
  );
  const { tokens } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: false, tokens: true });
  const flags: Record<string, string | boolean | readonly string[]> = {};
  const namespaces: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") namespaces.push(token.value);
    if (token.kind !== "option") continue;
    const option = known.find((o) => o.flag === token.name);
    if (!option) throw unknownFlag(command, token.rawName, known);
    const before = flags[option.flag];
    if (before !== undefined && option.repeatable !== true) {
      throw new MongotapError("usage", `--${option.flag} is given twice`);
    }
    if (option.value !== undefined && (token.value === undefined || (!token.inlineValue && isFlagLike(token.value)))) {
      throw new MongotapError("usage", `--${option.flag} takes a value: ${option.value}`);
    }
    const value = token.value ?? true;
    flags[option.flag] =
      option.repeatable === true ? [...(typeof before === "object" ? before : []), String(value)] : value;
  }
  if (row.args === "" && namespaces.length > 0) {
    throw new MongotapError("usage", `${command} takes options only, not ${JSON.stringify(namespaces[0])}`);
  }
  return { flags, namespaces };
}

/** `--out --state x`: the value was forgotten. A lone dash is standard output. */
function isFlagLike(value: string): boolean {
  return value.startsWith("--");
}

function unknownFlag(command: string, typed: string, known: readonly OptionRow[]): MongotapError {
  if (/^--password(=|$)/.test(typed)) {
    return new MongotapError("usage", "there is no --password: others can read command lines", {
      hint: "Use --password-file FILE, or the variable MONGOTAP_PASSWORD.",
    });
  }
  const near = nearest(
    typed.replace(/^-+/, ""),
    known.map((o) => o.flag),
  );
  return new MongotapError("usage", `${command} has no option ${typed}`, {
    hint: near === undefined ? `Run \`mongotap ${command} --help\`.` : `Did you mean --${near}?`,
  });
}
