/**
 * Turns nodes of a config file into values with their references resolved. Records the problems, the secrets, and the
 * files that hold a secret in plain text.
 */

import { dirname, isAbsolute, join } from "node:path";

import { MongotapError } from "../errors.ts";
import { type FileContent, readSecretFile } from "./files.ts";
import { type ConfigProblems, locationText, type SourceLocation } from "./problems.ts";
import type { RawSetting } from "./setting.ts";
import type { TreeMap, TreeNode, TreeScalar } from "./yaml-tree.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** `${NAME}`. `$${` is the escape for a literal `${`. */
const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

export class ConfigReader {
  readonly env: Environment;
  readonly problems: ConfigProblems;
  /** The config is of a platform, which has resolved its secrets: values are taken as they are, and unknown keys ignored. */
  readonly isOfPlatform: boolean;
  readonly #settings: ReadonlySet<string> | undefined;
  /** Warnings about keys of the file that have no effect. */
  readonly notes: string[] = [];
  /** Texts that must never be printed. */
  readonly secrets: string[] = [];
  readonly #files = new Map<string, FileContent>();
  /** By file, the location of the first secret in plain text. */
  readonly #plain = new Map<string, SourceLocation>();

  /** `settings`: those that the connector of a platform takes; absent where the config is mongotap's own. */
  constructor(env: Environment, problems: ConfigProblems, settings?: readonly string[]) {
    this.env = env;
    this.problems = problems;
    this.isOfPlatform = settings !== undefined;
    this.#settings = settings === undefined ? undefined : new Set(settings);
  }

  /** Whether the setting counts here. mongotap's own file may hold those of other commands. */
  takes(setting: string): boolean {
    return this.#settings?.has(setting) !== false;
  }

  remember(path: string, file: FileContent): void {
    this.#files.set(path, file);
  }

  /** The text of a scalar with its references resolved. Undefined if it is empty, and, with a problem, if it is none. */
  text(node: TreeNode): string | undefined {
    const scalar = this.#scalar(node);
    return scalar === undefined ? undefined : this.#expand(scalar);
  }

  /** The value of a scalar and its location. */
  setting(node: TreeNode): RawSetting | undefined {
    const text = this.text(node);
    if (text === undefined) return undefined;
    const encrypted = node.kind === "scalar" && node.encrypted;
    return { text, from: locationText(node.location), level: "file", ...(encrypted ? { secret: true } : {}) };
  }

  /** A secret, in the file NAME for `file:NAME`. For one in plain text, `checkFiles` checks who can read the config file. */
  async secret(node: TreeNode): Promise<RawSetting | undefined> {
    const scalar = this.#scalar(node);
    if (scalar === undefined) return undefined;
    const { location, encrypted } = scalar;
    const isFile = !encrypted && this.isReference(scalar.text);
    const text = isFile ? await this.#readSecret(scalar) : this.#expand(scalar);
    if (text === undefined) return undefined;
    if (text.startsWith("ENC[AES256_GCM,")) {
      this.problems.add(location, "is encrypted by sops, but nothing here says how: its `sops` section is missing");
      return undefined;
    }
    if (!encrypted && !isFile && scalar.text.replaceAll(REFERENCE, "") !== "") this.#addPlain(location);
    this.secrets.push(text);
    return { text, from: locationText(location), level: "file", secret: true };
  }

  /** Whether a secret is in a file, which `text` names. */
  isReference(text: string): boolean {
    return !this.isOfPlatform && text.startsWith("file:");
  }

  /** A connection string or address. A password in it is a secret in plain text. */
  server(node: TreeNode): RawSetting | undefined {
    const scalar = this.#scalar(node);
    const setting = this.setting(node);
    if (scalar === undefined || setting === undefined) return undefined;
    const password = /^[a-z+]+:\/\/[^@:]*:(.*)@/.exec(scalar.text.replaceAll(REFERENCE, ""))?.[1] ?? "";
    if (password !== "" && !scalar.encrypted) this.#addPlain(scalar.location);
    return { ...setting, secret: true };
  }

  /** The values of a list, or of a single scalar. */
  settings(node: TreeNode): RawSetting[] {
    const nodes = node.kind === "list" ? node.items : [node];
    return nodes.map((item) => this.setting(item)).filter((setting) => setting !== undefined);
  }

  /** The items of a list, or of a text with commas. */
  list(node: TreeNode): RawSetting[] {
    if (isNothing(node)) return [];
    return this.settings(node).flatMap((setting) =>
      setting.text
        .split(",")
        .map((text) => ({ ...setting, text: text.trim() }))
        .filter(({ text }) => text !== ""),
    );
  }

  /** The values of a setting that takes several. Forms of platforms have one text for them, with commas; a list has names with commas. */
  values(node: TreeNode): RawSetting[] {
    return this.isOfPlatform && node.kind === "scalar" ? this.list(node) : this.settings(node);
  }

  map(node: TreeNode): TreeMap | undefined {
    if (node.kind === "map") return node;
    if (!isNothing(node)) this.problems.add(node.location, "takes keys and values");
    return undefined;
  }

  /** Adds a problem for each key that is not in `known`. `what` such as "not a key of a binding". */
  checkKeys(map: TreeMap, known: readonly string[], what: string): void {
    for (const [key, node] of map.entries) if (!known.includes(key)) this.addUnknown(node.location, what, known);
  }

  /** Adds the problem of a key that is not in `known`; of a platform's config, a note. */
  addUnknown(location: SourceLocation, what: string, known: Iterable<string>): void {
    if (this.isOfPlatform) this.notes.push(`${location.path} is ${what}: it has no effect`);
    else this.problems.addUnknown(location, what, known);
  }

  boolean(node: TreeNode): boolean {
    if (node.kind === "scalar" && typeof node.value === "boolean") return node.value;
    if (!isNothing(node)) this.problems.add(node.location, "takes true or false");
    return false;
  }

  /**
   * `text` with its references resolved. `ifUnset` returns the value for a name that is not set, or undefined if that is a
   * problem. Undefined if there was one.
   */
  expand(text: string, location: SourceLocation, ifUnset: (name: string) => string | undefined): string | undefined {
    let isComplete = true;
    const expanded = text.replaceAll(REFERENCE, (whole, name: string | undefined) => {
      if (name === undefined) return whole.slice(1);
      const value = this.env[name] ?? ifUnset(name);
      if (value === undefined) this.problems.add(location, `refers to \${${name}}, which is not set`);
      isComplete &&= value !== undefined;
      return value ?? "";
    });
    return isComplete ? expanded : undefined;
  }

  /** Adds a problem for each file that holds a secret in plain text and that other users can read or replace. */
  checkFiles(): void {
    for (const [path, location] of this.#plain) {
      const file = this.#files.get(path);
      const remedy = {
        hint: "Or keep the secret out of it: a reference such as ${MONGO_PASSWORD} or file:NAME, or sops.",
      };
      if (file?.exposure !== undefined)
        this.problems.add(location, `stands in plain text in a file that ${file.exposure}`, remedy);
      else if (file?.isLink === true) {
        this.problems.add(
          location,
          "stands in plain text in a file that is reached by a symbolic link: name the file",
          remedy,
        );
      }
    }
  }

  #addPlain(location: SourceLocation): void {
    if (!this.#plain.has(location.file)) this.#plain.set(location.file, location);
  }

  #scalar(node: TreeNode): TreeScalar | undefined {
    if (node.kind !== "scalar")
      this.problems.add(node.location, `takes one value, not ${node.kind === "map" ? "keys" : "a list"}`);
    return node.kind === "scalar" && !isNothing(node) ? node : undefined;
  }

  #expand({ text, location, encrypted }: TreeScalar): string | undefined {
    return encrypted || this.isOfPlatform ? text : this.expand(text, location, () => undefined);
  }

  async #readSecret({ text, location }: TreeScalar): Promise<string | undefined> {
    const name = this.expand(text.slice("file:".length), location, () => undefined);
    if (name === undefined) return undefined;
    const path = pathBeside(location.file, name);
    try {
      return await readSecretFile(path, locationText(location) + `: the file ${path}`);
    } catch (error) {
      if (!(error instanceof MongotapError)) throw error;
      this.problems.add(error.message, "");
      return undefined;
    }
  }
}

/** An empty value counts as none, as if the key were absent. */
export function isNothing(node: TreeNode): boolean {
  return node.kind === "scalar" && (node.value === null || node.value === "");
}

/** Resolves `path`, as it is written in `file`, against the folder of the file. */
export function pathBeside(file: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}
