/**
 * Which part of src/ may import what. scripts/lint.ts writes these rows into .oxlintrc.json, and test/architecture/ holds
 * what the linter cannot express. A later row wins over an earlier one for the files that both name.
 */

export interface Layer {
  /** Its folders (`codec/`) and files (`help.ts`), below src/. A file of a folder may import the others of that folder. */
  readonly files: readonly string[];
  /** Folders and files below src/ that it may import, and packages. */
  readonly imports: readonly string[];
  /** Files and folders below src/ of which it may import types only. */
  readonly types?: readonly string[];
  /** Modules of Node.js: all; or (default) all but node:process, console and module; or none, and no file of its folder. */
  readonly node?: "all" | "none";
  /** Ends the message of the linter. */
  readonly why: string;
}

/** What every layer may import, but those that import nothing. */
const LEAVES = ["errors.ts", "lib/"] as const;
/** The parts of a run, which commands/ and run/ connect. */
const PARTS = ["config/", "connect/", "source/", "pipeline/", "sink/", "state/", "protocol/", "observe/", "workers/"];

// oxfmt-ignore
export const LAYERS: readonly Layer[] = [
  { files: ["main.ts"], imports: [...LEAVES, "cli.ts", "observe/", "picocolors", "../package.json"], node: "all", why: "it starts the command line and nothing else" },
  { files: ["cli.ts", "flags.ts", "help.ts"], imports: [...LEAVES, "commands/", "run/", "config/", "observe/"], why: "a command is loaded when it runs" },
  { files: ["help.ts"], imports: [...LEAVES, "commands/", "config/", "cac"], why: "the command line without cac starts faster" },
  { files: ["commands/"], imports: [...LEAVES, ...PARTS, "run/", "check/", "discover/", "connectors/"], why: "a command wires layers together, drivers and schemas stay behind them" },
  { files: ["connectors/"], imports: [...LEAVES, ...PARTS, "run/", "discover/", "codec/", "valibot"], why: "the protocols of platforms, on what backfill and capture share" },
  { files: ["connectors/airbyte/", "connectors/singer/", "connectors/flow/"], imports: [...LEAVES, ...PARTS, "connectors/", "run/", "discover/", "codec/", "valibot"], why: "a protocol does not know the others" },
  { files: ["run/"], imports: [...LEAVES, ...PARTS], why: "what backfill, tail and capture share does not know the commands" },
  { files: ["check/"], imports: [...LEAVES, "connect/", "source/", "state/", "observe/", "mongodb"], why: "it tries what a run will need" },
  { files: ["discover/"], imports: [...LEAVES, "codec/", "observe/", "source/record.ts", "yaml"], types: ["source/catalog.ts", "source/sample.ts"], why: "it turns bytes and facts into text" },
  { files: ["workers/"], imports: [...LEAVES, "connect/", "source/", "protocol/"], why: "threads read and encode, they do not write" },
  { files: ["pipeline/"], imports: [...LEAVES, "source/record.ts"], types: ["sink/sink.ts", "protocol/", "state/"], why: "it takes interfaces and constructs nothing" },
  { files: ["config/"], imports: [...LEAVES, "protocol/envelopes.ts", "connect/connection-string.ts", "source/bindings.ts", "valibot", "yaml", "csv-parse/sync", "age-encryption"], why: "of other layers only what parses one value" },
  { files: ["config/options/"], imports: ["config/setting.ts", "config/value-schemas.ts", "protocol/envelopes.ts"], node: "none", why: "a group of options has the schemas of its values" },
  { files: ["source/"], imports: [...LEAVES, "connect/", "codec/", "mongodb"], why: "it reads, and does not know what becomes of a batch" },
  { files: ["connect/"], imports: [...LEAVES, "mongodb", "mongodb/lib/cmap/**", "ssh2"], why: "it knows servers, not what is read from them" },
  { files: ["state/"], imports: [...LEAVES, "source/record.ts"], types: ["sink/sink.ts"], why: "a position is opaque here" },
  { files: ["state/checkpoint.ts", "state/ranges-file.ts", "state/stream-state.ts"], imports: [...LEAVES, "source/record.ts", "valibot"], types: ["sink/sink.ts"], why: "the files that check what they read" },
  { files: ["sink/"], imports: LEAVES, why: "it does not know what a line means" },
  { files: ["protocol/"], imports: [...LEAVES, "codec/", "source/record.ts"], types: ["sink/sink.ts"], why: "it writes lines around documents" },
  { files: ["observe/"], imports: [...LEAVES, "source/record.ts", "picocolors"], why: "it counts and prints" },
  { files: ["codec/", "lib/"], imports: ["errors.ts"], why: "leaves know no layer" },
  { files: ["errors.ts"], imports: [], node: "none", why: "everything may import it" },
  { files: ["source/record.ts"], imports: [], types: ["lib/output-key.ts"], node: "none", why: "everything may import it" },
];

/** Whether an entry of a row names a part of src/ (or package.json), and not a package of npm. */
export function isPath(entry: string): boolean {
  return /(\/|\.ts|\.json)$/.test(entry);
}

/** Whether `path`, below src/, belongs to the files of a row: by its name, or by the folder it is in. */
export function isIn(path: string, files: readonly string[]): boolean {
  return files.some((entry) => (entry.endsWith("/") ? path.startsWith(entry) : path === entry));
}
