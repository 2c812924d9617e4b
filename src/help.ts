/** The help: cac prints it, the options come from the table, by group. */

import { cac } from "cac";

import type { CommandRow, PlatformRow } from "./commands/command.ts";
import type { OPTION_GROUPS } from "./config/options.ts";
import type { OptionRow } from "./config/setting.ts";

export const TITLES: Readonly<Record<keyof typeof OPTION_GROUPS, string>> = {
  source: "Source",
  selection: "What",
  output: "Output",
  state: "State",
  bounds: "Bounds",
  reporting: "Seeing",
  platform: "Platform",
};

export const NAMESPACES = `db.collection, db.* or db (every collection of it), split at the first dot`;

interface Section {
  title?: string;
  body: string;
}

/** Prints the help of one command, or the overview, to standard output. `columns` is the width to wrap at. */
export async function printHelp(
  commands: Readonly<Record<string, CommandRow>>,
  platforms: Readonly<Record<string, PlatformRow>>,
  topic: string | undefined,
  columns: number,
): Promise<void> {
  const platform = topic === undefined ? undefined : platforms[topic];
  const sections =
    topic === undefined
      ? overview(commands, platforms)
      : platform === undefined
        ? await page(topic, commands[topic], columns)
        : platformPage(topic, platform, columns);
  const cli = cac("mongotap");
  for (const [name, row] of Object.entries({ ...commands, ...platforms })) cli.command(name, row.text);
  cli.help(() => sections);
  const shown = topic === undefined ? cli.globalCommand : cli.commands.find((command) => command.name === topic);
  shown?.outputHelp();
}

function overview(
  commands: Readonly<Record<string, CommandRow>>,
  platforms: Readonly<Record<string, PlatformRow>>,
): Section[] {
  const all = { ...commands, ...platforms };
  const rows = Object.entries(all).map(([name, row]) => [`${name} ${row.args}`, row.text] as const);
  return [
    { body: "mongotap copies MongoDB collections, and their changes as they happen, into NDJSON." },
    { title: "Usage", body: "  mongotap <command> [namespace...] [options]" },
    { title: "Commands", body: table(rows) },
    { title: "Namespace", body: `  ${NAMESPACES}` },
    {
      title: "Examples",
      body: Object.values(all)
        .map((row) => `  ${row.examples[0] ?? ""}`)
        .join("\n"),
    },
    {
      body: "`mongotap --version` says what this is, `mongotap --licenses` what it contains, `mongotap completion bash` (zsh, fish) completes command lines",
    },
    {
      body: `\`mongotap <command> --help\` shows the options of a command; every option is also a variable MONGOTAP_… and a key of the --config file; those of ${Object.keys(platforms).join(", ")} are flags only`,
    },
  ];
}

/** Loads the table of options, which the overview does not need. */
async function page(name: string, row: CommandRow | undefined, columns: number): Promise<Section[]> {
  if (!row) return [];
  const { OPTION_GROUPS, envNameOf } = await import("./config/options.ts");
  const optionLine = (option: OptionRow): readonly [string, string] => lineOf(option, envNameOf(option));
  const sections: Section[] = [
    { body: `mongotap ${name}: ${row.text}` },
    { title: "Usage", body: `  mongotap ${name} ${row.args} [options]\n  namespace: ${NAMESPACES}` },
  ];
  for (const [group, rows] of Object.entries<Readonly<Record<string, OptionRow>>>(OPTION_GROUPS)) {
    const options = row.options.flatMap((option) => rows[option] ?? []);
    const title = TITLES[group as keyof typeof OPTION_GROUPS];
    if (options.length > 0) sections.push({ title, body: table(options.map(optionLine), columns) });
  }
  return [...sections, { title: "Examples", body: row.examples.map((example) => `  ${example}`).join("\n") }];
}

function platformPage(
  name: string,
  { args, text, words = [], flags, examples }: PlatformRow,
  columns: number,
): Section[] {
  const usage = ["mongotap", name, args, flags.length === 0 ? "" : "[options]"].filter((part) => part !== "");
  const tables: Section[] = [
    { title: "Commands", body: table(words, columns) },
    { title: "Options", body: table(flags, columns) },
  ];
  return [
    { body: `mongotap ${name}: ${text}` },
    { title: "Usage", body: `  ${usage.join(" ")}` },
    ...tables.filter(({ body }) => body !== ""),
    { title: "Examples", body: examples.map((example) => `  ${example}`).join("\n") },
  ];
}

function lineOf(option: OptionRow, envName: string): readonly [string, string] {
  const value = option.value === undefined ? "" : ` ${option.value}`;
  if (option.flagless === true) return [envName, `${option.text} (a variable, not a flag)`];
  const fallback = option.fallback === undefined ? "" : ` (default: ${option.fallback})`;
  return [`--${option.flag}${value}`, `${option.text}${fallback} [${envName}]`];
}

/** Two columns. The second is wrapped so that lines have at most `columns` characters, or 30 of the text. */
function table(rows: readonly (readonly [string, string])[], columns = Infinity): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows
    .map(([left, right]) => `  ${left.padEnd(width)}  ${wrap(right, columns - width - 4, width + 4)}`)
    .join("\n");
}

function wrap(text: string, width: number, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > Math.max(width, 30)) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${" ".repeat(indent)}`);
}
