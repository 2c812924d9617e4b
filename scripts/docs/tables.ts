/** The tables of the README, made from the tables of the program. */

import { COMMANDS, PLATFORMS } from "../../src/cli.ts";
import { envNameOf, OPTIONS } from "../../src/config/options.ts";
import type { OptionRow } from "../../src/config/setting.ts";
import { type Kind, POLICY } from "../../src/errors.ts";

/** What an exit code means to a user. */
const MEANING: Readonly<Record<Kind, string>> = {
  bug: "something unexpected: a fault in mongotap",
  usage: "the command line cannot be understood",
  config: "a setting cannot be used",
  state: "the state is damaged, or of another cluster, command line or output file",
  connect: "the server cannot be reached, or stayed away for longer than `--retry-for`",
  auth: "the login was refused, a privilege is missing, or the host key of the ssh server is not trusted",
  "history-lost": "the oplog no longer reaches back to the saved position",
  ended: "what was watched has ended: dropped, renamed, replaced",
  output: "the output, or the state, cannot be written",
  data: "a document that cannot be carried",
  unsupported: "this server, or this collection, cannot do what was asked",
  threshold: "a checked threshold was reached",
  limit: "stopped by a signal or a limit before the end that was asked for",
  locked: "another run holds the state",
  pipe: "the reader of standard output is gone, as in `| head -1`; nothing is printed",
};

/** Where the README says more than the hint of the program. */
const REMEDY: Readonly<Partial<Record<Kind, string>>> = {
  "history-lost":
    "`capture`: run again, it backfills first (`--on-history-lost`). `tail`: start over with `--fresh`. A larger oplog avoids both.",
  unsupported: "The line on standard error says what can be done instead.",
};

/** Codes that no failure has. */
const OTHER_CODES: readonly (readonly [code: number | string, meaning: string, remedy: string])[] = [
  [0, "done, caught up, or stopped when nothing more was asked for", ""],
  [
    "128+n",
    "ended by signal n at once: by the second one, or where nothing had begun",
    "Run again: nothing committed is lost.",
  ],
];

export function commandTable(): string {
  const rows = Object.entries({ ...COMMANDS, ...PLATFORMS }).map(([name, { args, text }]) => [
    code(`${name} ${args}`.trim()),
    text,
  ]);
  return markdown(["command", "what it does"], rows);
}

export function optionTable(): string {
  const known = Object.entries<OptionRow>(OPTIONS).filter(([name]) => commandsWith(name) !== "");
  const rows = known.map(([name, row]) => [
    row.flagless === true ? "(no flag)" : code(`--${row.flag}${row.value === undefined ? "" : ` ${row.value}`}`),
    code(envNameOf(row)),
    row.fallback === undefined ? "" : code(row.fallback),
    commandsWith(name),
    row.text,
  ]);
  return markdown(["option", "variable", "default", "commands", "meaning"], rows);
}

/** The commands that have an option; empty if none has it. */
function commandsWith(option: string): string {
  const has = ([, { options }]: (typeof all)[number]): boolean => options.some((known) => known === option);
  const all = Object.entries(COMMANDS);
  const those = all.filter(has).map(([name]) => name);
  const others = all.filter((row) => !has(row)).map(([name]) => name);
  if (others.length === 0) return "all";
  return others.length === 1 ? `all but ${others[0]}` : those.join(", ");
}

interface ExitCode {
  readonly exit: number | string;
  readonly meaning: string;
  readonly remedy: string;
}

/** In the order of the codes; a code may have several meanings. */
export function exitCodes(): ExitCode[] {
  const kinds = Object.entries(POLICY).map(
    ([kind, { exit, hint }]) => [exit, MEANING[kind as Kind], REMEDY[kind as Kind] ?? hint] as const,
  );
  const all = [...OTHER_CODES, ...kinds].toSorted(([a], [b]) => rank(a) - rank(b));
  return all.map(([exit, meaning, remedy]) => ({ exit, meaning, remedy }));
}

export function exitCodeTable(): string {
  return markdown(
    ["exit code", "meaning", "what to do"],
    exitCodes().map(({ exit, meaning, remedy }) => [String(exit), meaning, remedy]),
  );
}

/** The sort key of an exit code: 128+n sorts as 128. */
function rank(exit: number | string): number {
  return typeof exit === "number" ? exit : 128;
}

function code(text: string): string {
  return `\`${text}\``;
}

/** Bars are escaped everywhere: in a table they separate cells even inside code. */
function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), `|${"---|".repeat(header.length)}`, ...rows.map(line)].join("\n");
}
