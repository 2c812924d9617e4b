/**
 * Parses YAML or JSON into a tree whose nodes know their location. It is built from the syntax tree and not with `toJS()`,
 * because JavaScript objects move keys like `10` to the front, and the MAC of sops depends on the order.
 */

import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node as YamlNode,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from "yaml";

import { MongotapError } from "../errors.ts";
import { parseJson } from "./json.ts";
import { locationText, type SourceLocation } from "./problems.ts";

export type TreeNode = TreeMap | TreeList | TreeScalar;

interface Located {
  readonly location: SourceLocation;
}

export interface TreeMap extends Located {
  readonly kind: "map";
  /** In the order of the file. */
  readonly entries: ReadonlyMap<string, TreeNode>;
}

export interface TreeList extends Located {
  readonly kind: "list";
  readonly items: readonly TreeNode[];
}

export interface TreeScalar extends Located {
  readonly kind: "scalar";
  readonly value: string | number | bigint | boolean | null;
  /** The text in the file, without quotes. */
  readonly text: string;
  /** The text has no quotes in the file, so it may be a date. */
  readonly plain: boolean;
  /** The value is encrypted in the file (sops): it must not be shown, and its references are not resolved. */
  readonly encrypted: boolean;
}

/** More than any config has; aliases nested in aliases exceed it. */
const MOST_NODES = 50_000;

/** Messages for the parser's error codes. The parser's own messages quote the text, which may be a password. */
const YAML_MESSAGES: Readonly<Record<string, string>> = {
  ALIAS_PROPS: "an alias has an anchor or a tag",
  BAD_ALIAS: "an alias has no name",
  BAD_INDENT: "the indentation does not fit",
  BLOCK_AS_IMPLICIT_KEY: "a nested value stands where a key is expected",
  BLOCK_IN_FLOW: "a block stands within brackets",
  DUPLICATE_KEY: "the same key stands there twice",
  MISSING_CHAR: "a character is missing, such as a closing quote, a bracket or a comma",
  MULTIPLE_DOCS: "a second document begins; one is expected",
  MULTILINE_IMPLICIT_KEY: "a key goes over several lines",
  TAB_AS_INDENT: "a tab is used as indentation",
  UNEXPECTED_TOKEN: "there is something that does not belong there",
};

/**
 * Parses `text`, which must be JSON where it begins with a brace: YAML would take `"password": x"` and `{"a": 1,}` as well.
 * @throws MongotapError `config` as parseTree does
 */
export function parseJsonTree(text: string, file: string): TreeMap {
  const json = text.replace(/^\uFEFF/, "");
  if (json.trimStart().startsWith("{")) parseJson(json, file);
  return parseTree(json, file);
}

/**
 * Parses `text`, the content of `file`. An empty file is an empty map.
 * @throws MongotapError `config` if it is neither YAML nor JSON, or has no map at its top; the message does not quote it
 */
export function parseTree(text: string, file: string): TreeMap {
  const lines = new LineCounter();
  const document = parseDocument(text, { prettyErrors: false, intAsBigInt: true, lineCounter: lines, merge: false });
  const lineOf = (offset: number | undefined): number =>
    offset === undefined ? 1 : Math.max(1, lines.linePos(offset).line);
  const [error] = document.errors;
  if (error !== undefined) throw invalid({ file, line: lineOf(error.pos[0]), path: "" }, YAML_MESSAGES[error.code]);
  const root = { file, line: 1, path: "" };
  if (document.contents === null) return { kind: "map", location: root, entries: new Map() };
  const top = new Builder(document, lineOf).build(document.contents, root);
  if (top.kind !== "map") throw invalid(root, "keys and values are expected");
  return top;
}

function invalid(location: SourceLocation, reason = "it cannot be read"): MongotapError {
  return new MongotapError("config", `${locationText(location)} is not valid YAML or JSON: ${reason}`, {
    hint: "Correct the file at this line.",
  });
}

class Builder {
  readonly #document: Document;
  readonly #lineOf: (offset: number | undefined) => number;
  /** Caches the targets of aliases: to resolve one takes as long as to read the document. */
  readonly #targets = new Map<Alias, YamlNode>();
  #nodes = 0;

  constructor(document: Document, lineOf: (offset: number | undefined) => number) {
    this.#document = document;
    this.#lineOf = lineOf;
  }

  build(node: unknown, location: SourceLocation): TreeNode {
    this.#nodes += 1;
    if (this.#nodes > MOST_NODES) throw invalid(location, "it is too large");
    if (isAlias(node)) {
      const target = this.#targets.get(node) ?? node.resolve(this.#document);
      if (target === undefined) throw invalid(location, "an alias has no anchor");
      this.#targets.set(node, target);
      return this.build(target, location);
    }
    if (isMap(node)) return { kind: "map", location, entries: this.#entriesOf(node, location) };
    if (isSeq(node))
      return { kind: "list", location, items: node.items.map((item, i) => this.#item(item, location, i)) };
    if (isScalar(node)) return this.#scalar(node, location);
    return { kind: "scalar", location, value: null, text: "", plain: true, encrypted: false };
  }

  #item(item: unknown, list: SourceLocation, index: number): TreeNode {
    const offset = (item as YamlNode | null)?.range?.[0];
    const line = offset === undefined ? list.line : this.#lineOf(offset);
    return this.build(item, { file: list.file, line, path: `${list.path}[${index}]` });
  }

  #entriesOf(map: YAMLMap, location: SourceLocation): Map<string, TreeNode> {
    const entries = new Map<string, TreeNode>();
    for (const pair of map.items) {
      const at = {
        file: location.file,
        line: this.#lineOf((pair.key as YamlNode | null)?.range?.[0]),
        path: location.path,
      };
      const key = this.#keyOf(pair, at);
      const path = location.path === "" ? key : `${location.path}.${key}`;
      if (key === "<<") this.#merge(entries, this.build(pair.value, { ...at, path }));
      else entries.set(key, this.build(pair.value, { ...at, path }));
    }
    return entries;
  }

  #keyOf({ key }: Pair, location: SourceLocation): string {
    const node: unknown = isAlias(key) ? key.resolve(this.#document) : key;
    if (isScalar(node)) return typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
    throw invalid(location, "a key is not a text");
  }

  /** `<<: *defaults` adds the keys that are not set yet. */
  #merge(entries: Map<string, TreeNode>, from: TreeNode): void {
    for (const map of from.kind === "list" ? from.items : [from]) {
      if (map.kind !== "map") throw invalid(from.location, "a merge takes keys and values");
      for (const [key, node] of map.entries) if (!entries.has(key)) entries.set(key, node);
    }
  }

  #scalar(node: Scalar, location: SourceLocation): TreeScalar {
    const { value } = node;
    const plain = node.type === undefined || node.type === "PLAIN";
    const known =
      typeof value === "string" || typeof value === "number" || typeof value === "bigint" || typeof value === "boolean";
    if (!known && value !== null) throw invalid(location, "a value has a tag that is not known");
    const text = typeof value === "string" ? value : (node.source ?? String(value));
    return { kind: "scalar", location, value: known ? value : null, text, plain, encrypted: false };
  }
}
