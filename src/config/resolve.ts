/**
 * Defaults < config file < environment < flags → one frozen object. All problems are reported together, each with the flag,
 * the variable or the location of the value.
 */

import * as v from "valibot";

import type { FileConfig } from "./config-file.ts";
import { ConfigReader, type Environment } from "./config-reader.ts";
import { envNameOf, type OptionName, OPTIONS, type Settings } from "./options.ts";
import { ConfigProblems } from "./problems.ts";
import { chooseServer, connectionStringOf, type ServerChoice } from "./server.ts";
import type { OptionRow, RawSetting } from "./setting.ts";
import { chooseTunnel, secretsOf } from "./tunnel.ts";

/** Flags as parseArgs reads them: text for values, true for switches, a list for repeatable flags. */
export type TypedFlags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export interface RunInput {
  readonly command: string;
  /** The options that the command takes; the others keep their defaults. */
  readonly options: readonly OptionName[];
  readonly flags: TypedFlags;
  /** From the command line. */
  readonly namespaces: readonly string[];
  readonly env: Environment;
  /** The config of a platform, instead of a file that --config names; its name is for messages. */
  readonly platform?: PlatformConfig;
}

export interface PlatformConfig {
  readonly text: string;
  readonly name: string;
  /** The defaults that differ from those of the table, as text. */
  readonly defaults: Readonly<Partial<Record<OptionName, string>>>;
  /** The only values of a setting, as text, where the platform has no use for others. */
  readonly values: Readonly<Partial<Record<OptionName, readonly string[]>>>;
}

export interface ResolvedRun {
  readonly settings: Settings;
  /** The namespaces to read, of the command line or else the config file. */
  readonly namespaces: readonly string[];
  /** By namespace, the target that names its output file. */
  readonly targets: ReadonlyMap<string, string>;
  /** Texts that must never be printed. */
  readonly secrets: readonly string[];
  /** Warnings about values of the config file that are not used. */
  readonly notes: readonly string[];
}

/**
 * Resolves the settings of a run without connecting to a server.
 * @throws MongotapError with all problems: `usage` for flags, `config`, or `unsupported` for what mongotap cannot do
 */
export async function resolveRun(input: RunInput): Promise<ResolvedRun> {
  const problems = new ConfigProblems();
  const reader = new ConfigReader(input.env, problems, input.platform === undefined ? undefined : input.options);
  const file = await readFileConfig(input, reader);
  const values = resolveValues(input, file, problems);
  const server = chooseServer({
    given: (name) => givenFor(name, input, file),
    fallback: OPTIONS.uri.fallback,
    onProblem: (message) => problems.add(message, ""),
    onNote: (message) => reader.notes.push(message),
  });
  const tunnel = await chooseTunnel({
    given: (name) => givenFor(name, input, file)[0],
    request: file?.tunnel,
    env: input.env,
    problems,
  });
  const settings = Object.freeze({ ...values, server, tunnel }) as Settings;
  if (input.options.includes("uri")) await checkServer(server, problems);
  const namespaces = await selectNamespaces(input, file, problems);
  problems.throwIfAny();
  return {
    settings,
    namespaces: [...new Set(namespaces)],
    targets: file?.targets ?? new Map<string, string>(),
    secrets: [
      ...reader.secrets,
      ...(server.password === undefined ? [] : [server.password.text]),
      ...(tunnel === undefined ? [] : secretsOf(tunnel)),
    ],
    notes: reader.notes,
  };
}

/** The log settings of flags and variables, for messages before the rest is resolved. Invalid values count as not given. */
export function logSettings(flags: TypedFlags, env: Environment): Pick<Settings, "logLevel" | "logFormat"> {
  const pick = <N extends "logLevel" | "logFormat">(name: N): Settings[N] => {
    const row = OPTIONS[name];
    const [given] = givenFor(name, { options: [name], flags, env }, undefined);
    const result = v.safeParse(row.schema, given?.text);
    return (result.success ? result.output : row.fallback) as Settings[N];
  };
  return { logLevel: pick("logLevel"), logFormat: pick("logFormat") };
}

/** Adds the problem of an invalid connection string. */
async function checkServer(server: ServerChoice, problems: ConfigProblems): Promise<void> {
  try {
    await connectionStringOf({ server });
  } catch (error) {
    problems.addError(error);
  }
}

async function readFileConfig(input: RunInput, reader: ConfigReader): Promise<FileConfig | undefined> {
  if (input.platform !== undefined) {
    const { readPlatformConfig } = await import("./config-file.ts");
    return readPlatformConfig(input.platform.text, input.platform.name, reader);
  }
  const [path] = givenFor("config", input, undefined);
  const [capture] = givenFor("capture", input, undefined);
  if (path !== undefined) {
    const { readConfig } = await import("./config-file.ts");
    return readConfig(path.text, capture?.text, reader);
  }
  if (capture?.level === "flag")
    reader.problems.add(capture.from, "says which capture of a config file: it takes --config", { kind: "usage" });
  return undefined;
}

function resolveValues(
  input: RunInput,
  file: FileConfig | undefined,
  problems: ConfigProblems,
): Record<string, unknown> {
  const resolved: Record<string, unknown> = {};
  for (const [key, row] of Object.entries<OptionRow>(OPTIONS)) {
    const name = key as OptionName;
    const found = givenFor(name, input, file);
    const unused = input.options.includes(name) ? [] : (file?.values.get(name) ?? []);
    for (const setting of unused) parse(row, setting, problems); // The file must be valid as a whole.
    const level = found[0]?.level;
    const values = input.platform?.values[name];
    const parsed = found
      .filter((setting) => setting.level === level)
      .map((setting) => (isAmong(values, setting, problems) ? parse(row, setting, problems) : undefined));
    resolved[name] =
      row.repeatable === true
        ? Object.freeze(parsed)
        : found.length > 0
          ? parsed[0]
          : fallbackOf(row, input.platform?.defaults[name]);
  }
  return resolved;
}

function fallbackOf(row: OptionRow, otherwise = row.fallback): unknown {
  if (otherwise !== undefined) return v.parse(row.schema, otherwise);
  return row.value === undefined ? false : undefined;
}

/** Whether the text is one of `allowed`, if there are such; else there is a problem. */
function isAmong(
  allowed: readonly string[] | undefined,
  { text, from }: RawSetting,
  problems: ConfigProblems,
): boolean {
  if (allowed === undefined || allowed.includes(text)) return true;
  problems.add(from, `must be ${allowed.join(" or ")} here`);
  return false;
}

/** The value of a setting; undefined, with a problem, if its text is invalid. */
function parse(row: OptionRow, { text, from, level, secret }: RawSetting, problems: ConfigProblems): unknown {
  const result = v.safeParse(row.schema, text);
  if (result.success) return result.output;
  const shown = row.secret === true || secret === true ? "" : `, not ${JSON.stringify(text)}`;
  return problems.add(from, `${result.issues[0].message}${shown}`, level === "flag" ? { kind: "usage" } : {});
}

/** All values given for an option, flags first; none if the command does not take it. An empty variable counts as unset. */
function givenFor(
  name: OptionName,
  { options, flags, env, platform }: Pick<RunInput, "options" | "flags" | "env" | "platform">,
  file: FileConfig | undefined,
): RawSetting[] {
  if (!options.includes(name)) return [];
  const row: OptionRow = OPTIONS[name];
  const typed = flags[row.flag];
  const flag = typed === undefined ? [] : Array.isArray(typed) ? typed : [typed];
  // A platform may set such variables for its own purposes: Meltano does, for a plugin of this name.
  const hasVariable = row.configOnly !== true && platform === undefined;
  const variable = hasVariable ? (env[envNameOf(row)] ?? "") : "";
  const texts = row.repeatable === true ? variable.split(",").map((text) => text.trim()) : [variable];
  return [
    ...flag.map((text): RawSetting => ({ text: String(text), from: `--${row.flag}`, level: "flag" })),
    ...texts.filter((text) => text !== "").map((text): RawSetting => ({ text, from: envNameOf(row), level: "env" })),
    ...(file?.values.get(name) ?? []),
  ];
}

/**
 * The namespaces of the command line, with those of a --collections-file that a flag or variable names. Without any, those of
 * the config file, with those of the collections file that it names.
 */
async function selectNamespaces(
  input: RunInput,
  file: FileConfig | undefined,
  problems: ConfigProblems,
): Promise<readonly string[]> {
  const [csv] = givenFor("collectionsFile", input, file);
  const listed = csv === undefined ? [] : await readCsv(csv, problems);
  const isListOfFile = csv?.level === "file";
  const typed = [...input.namespaces, ...(isListOfFile ? [] : listed)];
  if (typed.length > 0 || file === undefined) return typed;
  const validated = (setting: RawSetting): string => {
    parse(OPTIONS.exclude, setting, problems);
    return setting.text;
  };
  const bound = input.command === "discover" ? undefined : file.namespaces;
  if (bound === undefined && listed.length === 0) return file.databases.map(validated);
  return [...(bound ?? []).map(validated), ...(isListOfFile ? listed : [])];
}

async function readCsv(csv: RawSetting, problems: ConfigProblems): Promise<string[]> {
  const { readCollectionsFile } = await import("./collections-file.ts");
  return readCollectionsFile(csv.text, csv.from, problems);
}
