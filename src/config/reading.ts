/**
 * What the readers of a config file share: the values of nodes with their references resolved, and the books on what is
 * wrong, what is secret, and which files hold a secret in plain text.
 */

import { dirname, isAbsolute, join } from "node:path";

import { MongotapError } from "../errors.ts";
import type { ConfigFile } from "./config-file.ts";
import { readSecretFile } from "./config-file.ts";
import { type ConfigProblems, type SourceLocation, placeText } from "./faults.ts";
import type { RawSetting } from "./server-choice.ts";
import type { TreeMap, TreeNode, TreeScalar } from "./tree.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** `${NAME}`; `$${` is a dollar and a brace that mean themselves. */
const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

export class ConfigReader {
  readonly env: Environment;
  readonly faults: ConfigProblems;
  /** What is left out although it is in the file: said once, before the run. */
  readonly notes: string[] = [];
  /** Never to be printed. */
  readonly secrets: string[] = [];
  readonly #files = new Map<string, ConfigFile>();
  /** By file: where the first secret stands in plain text. */
  readonly #plain = new Map<string, SourceLocation>();

  constructor(env: Environment, faults: ConfigProblems) {
    this.env = env;
    this.faults = faults;
  }

  remember(path: string, file: ConfigFile): void {
    this.#files.set(path, file);
  }

  /** The text of a scalar with its references resolved; undefined, and a fault where there is one, if there is none. */
  text(node: TreeNode): string | undefined {
    const scalar = this.#scalar(node);
    return scalar === undefined ? undefined : this.#expand(scalar);
  }

  /** A value and where it stands. */
  given(node: TreeNode): RawSetting | undefined {
    const text = this.text(node);
    if (text === undefined) return undefined;
    const encrypted = node.kind === "scalar" && node.encrypted;
    return { text, from: placeText(node.place), level: "file", ...(encrypted ? { secret: true } : {}) };
  }

  /** A secret: `file:NAME` is read from there. Where it stands in plain text, the file must be for our eyes only. */
  async secret(node: TreeNode): Promise<RawSetting | undefined> {
    const scalar = this.#scalar(node);
    if (scalar === undefined) return undefined;
    const { place, encrypted } = scalar;
    const isFile = !encrypted && scalar.text.startsWith("file:");
    const text = isFile ? await this.#readSecret(scalar) : this.#expand(scalar);
    if (text === undefined) return undefined;
    if (text.startsWith("ENC[AES256_GCM,")) {
      this.faults.add(place, "is encrypted by sops, but nothing here says how: its `sops` section is missing");
      return undefined;
    }
    if (!encrypted && !isFile && scalar.text.replaceAll(REFERENCE, "") !== "") this.#standsPlain(place);
    this.secrets.push(text);
    return { text, from: placeText(place), level: "file", secret: true };
  }

  /** A connection string or address: its password, if any, is a secret in plain text. */
  server(node: TreeNode): RawSetting | undefined {
    const scalar = this.#scalar(node);
    const given = this.given(node);
    if (scalar === undefined || given === undefined) return undefined;
    const password = /^[a-z+]+:\/\/[^@:]*:(.*)@/.exec(scalar.text.replaceAll(REFERENCE, ""))?.[1] ?? "";
    if (password !== "" && !scalar.encrypted) this.#standsPlain(scalar.place);
    return { ...given, secret: true };
  }

  /** The texts of a list, or of a single one. */
  texts(node: TreeNode): RawSetting[] {
    const nodes = node.kind === "list" ? node.items : [node];
    return nodes.map((item) => this.given(item)).filter((given) => given !== undefined);
  }

  map(node: TreeNode): TreeMap | undefined {
    if (node.kind === "map") return node;
    if (!isNothing(node)) this.faults.add(node.place, "takes keys and values");
    return undefined;
  }

  /** Keys that are none of `known` are faults: `what` such as "not a key of a binding". */
  checkKeys(map: TreeMap, known: readonly string[], what: string): void {
    for (const [key, node] of map.entries) {
      if (!known.includes(key)) this.faults.addUnknown(node.place, what, known);
    }
  }

  boolean(node: TreeNode): boolean {
    if (node.kind === "scalar" && typeof node.value === "boolean") return node.value;
    if (!isNothing(node)) this.faults.add(node.place, "takes true or false");
    return false;
  }

  /**
   * `text` with its references resolved; `ifUnset` says what stands for a name that is not set. Undefined, and a fault,
   * where nothing does.
   */
  expand(text: string, place: SourceLocation, ifUnset: (name: string) => string | undefined): string | undefined {
    let isWhole = true;
    const expanded = text.replaceAll(REFERENCE, (whole, name: string | undefined) => {
      if (name === undefined) return whole.slice(1);
      const value = this.env[name] ?? ifUnset(name);
      if (value === undefined) this.faults.add(place, `refers to \${${name}}, which is not set`);
      isWhole &&= value !== undefined;
      return value ?? "";
    });
    return isWhole ? expanded : undefined;
  }

  /** Faults for secrets in files that others can read or replace. */
  checkFiles(): void {
    for (const [path, place] of this.#plain) {
      const file = this.#files.get(path);
      const remedy = {
        hint: "Or keep the secret out of it: a reference such as ${MONGO_PASSWORD} or file:NAME, or sops.",
      };
      if (file?.objection !== undefined)
        this.faults.add(place, `stands in plain text in a file that ${file.objection}`, remedy);
      else if (file?.isLink === true) {
        this.faults.add(
          place,
          "stands in plain text in a file that is reached by a symbolic link: name the file",
          remedy,
        );
      }
    }
  }

  #standsPlain(place: SourceLocation): void {
    if (!this.#plain.has(place.file)) this.#plain.set(place.file, place);
  }

  #scalar(node: TreeNode): TreeScalar | undefined {
    if (node.kind !== "scalar")
      this.faults.add(node.place, `takes one value, not ${node.kind === "map" ? "keys" : "a list"}`);
    return node.kind === "scalar" && !isNothing(node) ? node : undefined;
  }

  #expand({ text, place, encrypted }: TreeScalar): string | undefined {
    return encrypted ? text : this.expand(text, place, () => undefined);
  }

  async #readSecret({ text, place }: TreeScalar): Promise<string | undefined> {
    const name = this.expand(text.slice("file:".length), place, () => undefined);
    if (name === undefined) return undefined;
    const path = besides(place.file, name);
    try {
      return await readSecretFile(path, placeText(place) + `: the file ${path}`);
    } catch (error) {
      if (!(error instanceof MongotapError)) throw error;
      this.faults.add(error.message, "");
      return undefined;
    }
  }
}

/** An empty value is no value: as if the key were not there. */
export function isNothing(node: TreeNode): boolean {
  return node.kind === "scalar" && (node.value === null || node.value === "");
}

/** `path` as it is meant in `file`: relative to the folder of the file. */
export function besides(file: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}
