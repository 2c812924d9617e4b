/** The manual page mongotap(1), made from the tables of commands, options and exit codes. See man(7) for the macros. */

import { COMMANDS } from "../../src/cli.ts";
import type { CommandRow } from "../../src/commands/command.ts";
import { envNameOf, OPTION_GROUPS, OPTIONS } from "../../src/config/options.ts";
import type { OptionRow } from "../../src/config/setting.ts";
import { NAMESPACES, TITLES } from "../../src/help.ts";
import { exitCodes } from "../docs/tables.ts";

const ROWS = Object.entries<CommandRow>(COMMANDS);

export function manPage(version: string, time: Date): string {
  const date = time.toISOString().slice(0, 10);
  return [
    `.TH MONGOTAP 1 ${date} ${quoted(`mongotap ${version}`)} "User Commands"`,
    ".nh",
    ".ad l",
    ".SH NAME",
    "mongotap \\- copy MongoDB collections, and their changes as they happen, into NDJSON",
    ".SH SYNOPSIS",
    ...ROWS.flatMap(([name, { args }]) => [`.B mongotap ${escaped(name)}`, escaped(`${args} [options]`.trim()), ".br"]),
    ".B mongotap completion",
    "bash|zsh|fish",
    ".br",
    ".B mongotap",
    "\\-\\-help | \\-\\-version | \\-\\-licenses",
    ".SH DESCRIPTION",
    escaped("A namespace is " + NAMESPACES + ". "),
    "Each option is also a variable and a key of the file that \\-\\-config names.",
    "Flags win over variables, variables over the file.",
    ".SH COMMANDS",
    ...ROWS.flatMap(([name, row]) => paragraph(`\\fB${escaped(name)}\\fR ${escaped(row.args)}`, escaped(row.text))),
    ".SH OPTIONS",
    ...Object.entries<Readonly<Record<string, OptionRow>>>(OPTION_GROUPS).flatMap(group),
    ".SH EXIT STATUS",
    ...exitCodes().flatMap(({ exit, meaning, remedy }) =>
      paragraph(`\\fB${escaped(String(exit))}\\fR`, escaped(`${meaning}. ${remedy}`.replaceAll("`", "'").trim())),
    ),
    ".SH FILES",
    ...paragraph(
      "\\fI/etc/mongotap/NAME.yaml\\fR",
      "what the service \\fBmongotap@NAME\\fR reads, in the packages of Linux",
    ),
    ...paragraph(
      "\\fI/var/lib/mongotap/NAME/\\fR",
      "where that service writes: the lines in \\fIdata/\\fR, and its state",
    ),
    ".SH EXAMPLES",
    ".nf",
    ...ROWS.flatMap(([, { examples }]) => examples.map(escaped)),
    ".fi",
    "",
  ].join("\n");
}

function group([name, rows]: [string, Readonly<Record<string, OptionRow>>]): string[] {
  const used = Object.entries(rows).filter(([option]) => commandsWith(option).length > 0);
  const title = TITLES[name as keyof typeof OPTION_GROUPS];
  return [`.SS ${quoted(title)}`, ...used.flatMap(([option, row]) => optionParagraph(option, row))];
}

function optionParagraph(name: string, row: OptionRow): string[] {
  const value = row.value === undefined ? "" : ` \\fI${escaped(row.value)}\\fR`;
  const head =
    row.flagless === true ? `\\fB${envNameOf(row)}\\fR (no flag)` : `\\fB${escaped(`--${row.flag}`)}\\fR${value}`;
  const fallback = row.fallback === undefined ? [] : [`default: ${escaped(row.fallback)}`];
  const variable = row.flagless === true ? [] : [`variable: ${envNameOf(row)}`];
  const commands = `commands: ${escaped(commandsWith(name).join(", "))}`;
  return [...paragraph(head, escaped(row.text)), ".br", `(${[...fallback, ...variable, commands].join("; ")})`];
}

function commandsWith(option: string): string[] {
  return ROWS.filter(([, row]) => row.options.some((name) => name === option)).map(([name]) => name);
}

/** The options that some command takes: what the page must have. */
export function documentedOptions(): string[] {
  return Object.entries<OptionRow>(OPTIONS)
    .filter(([name]) => commandsWith(name).length > 0)
    .map(([, row]) => (row.flagless === true ? envNameOf(row) : `--${row.flag}`));
}

function paragraph(head: string, text: string): string[] {
  return [".TP", head, text];
}

/** No escape, no request, and hyphens that can be copied. */
function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(['.])/, "\\&$1");
}

function quoted(text: string): string {
  return `"${escaped(text).replaceAll('"', "\\(dq")}"`;
}
