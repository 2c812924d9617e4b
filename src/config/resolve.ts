/**
 * Defaults < config file < environment < flags → one frozen object. All faults are reported together, each under the
 * name that was typed, and where.
 */

import * as v from "valibot";

import { MongotapError } from "../errors.ts";
import type { Named } from "./bindings.ts";
import { ConfigProblems } from "./faults.ts";
import type { OptionRow } from "./option-row.ts";
import { envNameOf, type OptionName, OPTIONS, type Settings } from "./options.ts";
import type { FileConfig } from "./read.ts";
import { type Environment, ConfigReader } from "./reading.ts";
import { chooseServer, type RawSetting, type ServerChoice } from "./server-choice.ts";
import { connectionStringOf } from "./source.ts";
import { chooseTunnel, secretsOf } from "./tunnel.ts";

/** Flags as parseArgs read them: text for values, true for switches, a list for what may be repeated. */
export type TypedFlags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export interface RunInput {
  readonly command: string;
  /** The options that the command knows; the others keep their defaults. */
  readonly options: readonly OptionName[];
  readonly flags: TypedFlags;
  /** As typed behind the command. */
  readonly namespaces: readonly string[];
  readonly env: Environment;
}

export interface ResolvedRun {
  readonly settings: Settings;
  /** What to read: named on the command line, else by the config file. */
  readonly namespaces: readonly string[];
  /** Targets by namespace: the names of output files. */
  readonly targets: ReadonlyMap<string, string>;
  /** Never to be printed. */
  readonly secrets: readonly string[];
  /** What of the config file is not used, and why. */
  readonly notes: readonly string[];
}

/**
 * Everything that is decided before a server is asked.
 * @throws MongotapError `usage` (flags) or `config`, naming every fault; `unsupported` for what cannot be done yet
 */
export async function resolveRun(input: RunInput): Promise<ResolvedRun> {
  const faults = new ConfigProblems();
  const reading = new ConfigReader(input.env, faults);
  const file = await readFileConfig(input, reading);
  const values = resolveValues(input, file, faults);
  const server = chooseServer(
    (name) => givenFor(name, input, file),
    OPTIONS.uri.fallback,
    (message) => faults.add(message, ""),
    (message) => reading.notes.push(message),
  );
  const tunnel = await chooseTunnel({
    given: (name) => givenFor(name, input, file)[0],
    request: file?.tunnel,
    env: input.env,
    faults,
  });
  const settings = Object.freeze({ ...values, server, tunnel }) as Settings;
  if (input.options.includes("uri")) await checkServer(server, faults);
  const namespaces = await selection(input, file, faults);
  faults.throwIfAny();
  return {
    settings,
    namespaces: [...new Set(namespaces)],
    targets: file?.targets ?? new Map<string, string>(),
    secrets: [
      ...reading.secrets,
      ...(server.password === undefined ? [] : [server.password.text]),
      ...(tunnel === undefined ? [] : secretsOf(tunnel)),
    ],
    notes: reading.notes,
  };
}

/** How to log while the rest is being resolved: as flags and variables say, where they are right. */
export function logSettings(flags: TypedFlags, env: Environment): Pick<Settings, "logLevel" | "logFormat"> {
  const pick = <N extends "logLevel" | "logFormat">(name: N): Settings[N] => {
    const row = OPTIONS[name];
    const [given] = givenFor(name, { options: [name], flags, env }, undefined);
    const result = v.safeParse(row.schema, given?.text);
    return (result.success ? result.output : row.fallback) as Settings[N];
  };
  return { logLevel: pick("logLevel"), logFormat: pick("logFormat") };
}

/** What is wrong with the connection string is told with everything else. */
async function checkServer(server: ServerChoice, faults: ConfigProblems): Promise<void> {
  try {
    await connectionStringOf({ server });
  } catch (error) {
    if (!(error instanceof MongotapError)) throw error;
    faults.add(error.message, "", { kind: error.kind, hint: error.hint });
  }
}

async function readFileConfig(input: RunInput, reading: ConfigReader): Promise<FileConfig | undefined> {
  const [path] = givenFor("config", input, undefined);
  const [capture] = givenFor("capture", input, undefined);
  if (path !== undefined) {
    const { readConfig } = await import("./read.ts");
    return readConfig(path.text, capture?.text, reading);
  }
  if (capture?.level === "flag")
    reading.faults.add(capture.from, "says which capture of a config file: it takes --config", { kind: "usage" });
  return undefined;
}

function resolveValues(input: RunInput, file: FileConfig | undefined, faults: ConfigProblems): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [key, row] of Object.entries<OptionRow>(OPTIONS)) {
    const name = key as OptionName;
    const found = givenFor(name, input, file);
    const unused = input.options.includes(name) ? [] : (file?.values.get(name) ?? []);
    for (const given of unused) parse(row, given, faults); // a file must be right as a whole
    const level = found[0]?.level;
    const parsed = found.filter((given) => given.level === level).map((given) => parse(row, given, faults));
    values[name] = row.repeatable === true ? Object.freeze(parsed) : found.length > 0 ? parsed[0] : fallbackOf(row);
  }
  return values;
}

function fallbackOf(row: OptionRow): unknown {
  if (row.fallback !== undefined) return v.parse(row.schema, row.fallback);
  return row.value === undefined ? false : undefined;
}

function parse(row: OptionRow, given: RawSetting, faults: ConfigProblems): unknown {
  const result = v.safeParse(row.schema, given.text);
  if (result.success) return result.output;
  const isSecret = row.secret === true || given.secret === true;
  const shown = isSecret ? "" : `, not ${JSON.stringify(given.text)}`;
  faults.add(given.from, `${result.issues[0].message}${shown}`, given.level === "flag" ? { kind: "usage" } : {});
  return undefined;
}

/** Everything given for a setting that the command knows, flags first. An empty variable is no value. */
function givenFor(
  name: OptionName,
  { options, flags, env }: Pick<RunInput, "options" | "flags" | "env">,
  file: FileConfig | undefined,
): RawSetting[] {
  if (!options.includes(name)) return [];
  const row: OptionRow = OPTIONS[name];
  const typed = flags[row.flag];
  const flag = typed === undefined ? [] : Array.isArray(typed) ? typed : [typed];
  const variable = env[envNameOf(row)] ?? "";
  const texts = row.repeatable === true ? variable.split(",").map((text) => text.trim()) : [variable];
  return [
    ...flag.map((text): RawSetting => ({ text: String(text), from: `--${row.flag}`, level: "flag" })),
    ...texts.filter((text) => text !== "").map((text): RawSetting => ({ text, from: envNameOf(row), level: "env" })),
    ...(file?.values.get(name) ?? []),
  ];
}

/** The highest level that says anything: the command line, then the variable, then the config file. */
async function selection(
  input: RunInput,
  file: FileConfig | undefined,
  faults: ConfigProblems,
): Promise<readonly string[]> {
  const [csv] = givenFor("collectionsFile", input, file);
  const listed = csv === undefined ? [] : await readCsv(csv, faults);
  const ownsMemory = csv?.level !== "file";
  const typed = [...input.namespaces, ...(ownsMemory ? listed : [])];
  if (typed.length > 0 || file === undefined) return typed;
  const bound = input.command === "discover" ? undefined : file.namespaces;
  const named = [...(bound ?? []).map(textOfNamed(faults)), ...(ownsMemory ? [] : listed)];
  const isSaid = bound !== undefined || listed.length > 0;
  return isSaid ? named : file.databases.map(textOfNamed(faults));
}

function textOfNamed(faults: ConfigProblems): (named: Named) => string {
  return (named) => {
    parse(OPTIONS.exclude, { ...named, level: "file" }, faults);
    return named.text;
  };
}

async function readCsv(csv: RawSetting, faults: ConfigProblems): Promise<string[]> {
  const { readCollectionsFile } = await import("./collections-file.ts");
  return (await readCollectionsFile(csv.text, csv.from, faults)).map(({ text }) => text);
}
