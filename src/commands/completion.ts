/** `mongotap completion SHELL`: prints the completion of the command line for a shell, made from the tables of commands and options. */

import type { CommandRow } from "./command.ts";
import { print } from "./print.ts";
import { type OptionName, OPTIONS } from "../config/options.ts";
import type { OptionRow } from "../config/setting.ts";
import { jsonTypeOf } from "../config/value-schemas.ts";
import { MongotapError } from "../errors.ts";

type Commands = Readonly<Record<string, CommandRow>>;

/** What follows a flag: nothing, the name of a file, one of some words, or text that no shell can know. */
type Value = "none" | "file" | "text" | readonly string[];

interface Flag {
  readonly name: string;
  readonly text: string;
  /** The placeholder of the value. */
  readonly placeholder: string;
  readonly value: Value;
}

interface Command {
  readonly name: string;
  readonly text: string;
  readonly takesNamespaces: boolean;
  readonly flags: readonly Flag[];
}

const HELP: Flag = { name: "help", text: "show the options of this command", placeholder: "", value: "none" };
const WITHOUT_COMMAND = {
  "--help": "show the commands",
  "--version": "show version, commit, platform and runtime",
  "--licenses": "show the licenses of what this program contains",
};

const WRITERS = { bash, zsh, fish };
export const SHELLS = Object.keys(WRITERS) as readonly (keyof typeof WRITERS)[];

/**
 * Prints the script and resolves to the exit code.
 * @throws MongotapError `usage` if `args` are not the name of one shell
 */
export async function completion(commands: Commands, args: readonly string[]): Promise<number> {
  const shell = SHELLS.find((name) => name === args[0]);
  if (shell === undefined || args.length > 1) {
    throw new MongotapError("usage", `completion takes the name of a shell: ${SHELLS.join(", ")}`, {
      hint: "Example: source <(mongotap completion bash)",
    });
  }
  await print(completionScript(commands, shell));
  return 0;
}

export function completionScript(commands: Commands, shell: (typeof SHELLS)[number]): string {
  const all = Object.entries(commands).map(([name, row]) => commandOf(name, row));
  return WRITERS[shell]([
    ...all,
    { name: "completion", text: "print the completion script of a shell", takesNamespaces: false, flags: [] },
    { name: "help", text: "show the options of a command", takesNamespaces: false, flags: [] },
  ]);
}

function commandOf(name: string, row: CommandRow): Command {
  const flags = row.options
    .filter((option) => !("flagless" in OPTIONS[option]))
    .map((option) => flagOf(option, row.forms ?? ["table", "json"]));
  return { name, text: row.text, takesNamespaces: row.args !== "", flags: [...flags, HELP] };
}

function flagOf(name: OptionName, forms: readonly string[]): Flag {
  const row: OptionRow = OPTIONS[name];
  const value = name === "as" ? forms : valueOf(row);
  return { name: row.flag, text: row.text, placeholder: row.value ?? "", value };
}

function valueOf(row: OptionRow): Value {
  if (row.value === undefined) return "none";
  if (row.path === "whole") return "file";
  const { enum: words } = jsonTypeOf(row.schema);
  return Array.isArray(words) ? words.map(String) : "text";
}

/** The second words of the two commands that are not in the table. */
function secondWords(name: string, commands: readonly Command[]): readonly string[] {
  if (name === "completion") return SHELLS;
  return name === "help" ? commands.map((command) => command.name).filter((other) => other !== "help") : [];
}

/** For bash 3.2 and newer, without the package bash-completion. */
function bash(commands: readonly Command[]): string {
  const first = [...commands.map(({ name }) => name), ...Object.keys(WITHOUT_COMMAND)].join(" ");
  const values = commands.flatMap(({ name, flags }) =>
    flags.flatMap((flag) => {
      if (flag.value === "none") return [];
      const reply =
        flag.value === "file" ? "_files" : flag.value === "text" ? "_nothing" : `_words "${flag.value.join(" ")}"`;
      return [`    "${name} --${flag.name}") _mongotap${reply}; return ;;`];
    }),
  );
  const words = commands.map(({ name, flags }) => {
    const known = [...secondWords(name, commands), ...flags.map((flag) => `--${flag.name}`)];
    return `    ${name}) _mongotap_words "${known.join(" ")}" ;;`;
  });
  return `# bash completion of mongotap: source <(mongotap completion bash)
_mongotap_words() { COMPREPLY=($(compgen -W "$1" -- "$word")); }
_mongotap_files() { COMPREPLY=(); }
_mongotap_nothing() { COMPREPLY=(); compopt +o default 2>/dev/null; }
_mongotap() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]}
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    _mongotap_words "${first}"
    return
  fi
  # bash takes --flag=value for three words
  if [[ $word == "=" ]]; then word=""; elif [[ $before == "=" ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}; fi
  case "$command $before" in
${values.join("\n")}
  esac
  case "$command" in
${words.join("\n")}
  esac
}
complete -o default -F _mongotap mongotap
`;
}

function zsh(commands: readonly Command[]): string {
  const described = [...commands.map(({ name, text }) => [name, text] as const), ...Object.entries(WITHOUT_COMMAND)];
  const first = described.map(([name, text]) => `    ${quoted(`${name}:${text}`)}`);
  const cases = commands.map(({ name, takesNamespaces, flags }) => {
    const second = secondWords(name, commands);
    const specs = flags.map((flag) => {
      const head = `--${flag.name}${flag.value === "none" ? "" : "="}[${flag.text.replaceAll(/[\\[\]:]/g, "\\$&")}]`;
      if (flag.value === "none") return head;
      const action = flag.value === "file" ? "_files" : flag.value === "text" ? " " : `(${flag.value.join(" ")})`;
      return `${head}:${flag.placeholder.replaceAll(":", "\\:")}:${action}`;
    });
    const rest = second.length > 0 ? [`:word:(${second.join(" ")})`] : takesNamespaces ? ["*:namespace: "] : [];
    return `    ${name}) _arguments ${[...specs, ...rest].map((spec) => `\\\n      ${quoted(spec)}`).join(" ")} ;;`;
  });
  return `#compdef mongotap
# zsh completion of mongotap: a file _mongotap in a folder of $fpath, or source <(mongotap completion zsh)
_mongotap() {
  local -a first
  first=(
${first.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command first
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join("\n")}
  esac
}
if [[ $funcstack[1] == _mongotap ]]; then _mongotap "$@"; else compdef _mongotap mongotap; fi
`;
}

function fish(commands: readonly Command[]): string {
  const lines = [
    "# fish completion of mongotap: mongotap completion fish | source",
    "complete -c mongotap -f",
    ...Object.entries(WITHOUT_COMMAND).map(
      ([flag, text]) => `complete -c mongotap -n __fish_use_subcommand -l ${flag.slice(2)} -d ${quoted(text)}`,
    ),
  ];
  for (const { name, text, flags } of commands) {
    const seen = `complete -c mongotap -n '__fish_seen_subcommand_from ${name}'`;
    const second = secondWords(name, commands);
    lines.push(`complete -c mongotap -n __fish_use_subcommand -a ${name} -d ${quoted(text)}`);
    if (second.length > 0) lines.push(`${seen} -a ${quoted(second.join(" "))}`);
    for (const flag of flags) lines.push(`${seen} -l ${flag.name}${fishValue(flag.value)} -d ${quoted(flag.text)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** -x: a value that is no file; -r -F: one that is. */
function fishValue(value: Value): string {
  if (value === "none") return "";
  if (value === "file") return " -r -F";
  return value === "text" ? " -x" : ` -x -a ${quoted(value.join(" "))}`;
}

/** In single quotes, for zsh and fish. Neither fish nor zsh reads anything else in them than what is escaped here. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}
