/** What is wrong with a configuration: gathered, and told together. */

import { type Kind, MongotapError } from "../errors.ts";
import { nearest } from "../lib/nearest.ts";

/** Where something stands in a config file. */
export interface SourceLocation {
  /** As the user named it. */
  readonly file: string;
  readonly line: number;
  /** Such as `bindings[0].resource.database`; empty for the whole file. */
  readonly path: string;
}

/** `flow.yaml:3: bindings[0].target` */
export function placeText({ file, line, path }: SourceLocation): string {
  return path === "" ? `${file}:${line}` : `${file}:${line}: ${path}`;
}

/** Gathers faults, so that a user corrects all of them at once. */
export class ConfigProblems {
  readonly #found: { readonly kind: Kind; readonly message: string; readonly hint: string | undefined }[] = [];

  /** `message` follows what the user typed: a flag, a variable, or a place in a file. Returns nothing, to be returned. */
  add(
    from: SourceLocation | string,
    message: string,
    { kind = "config", hint }: { kind?: Kind; hint?: string } = {},
  ): undefined {
    const where = typeof from === "string" ? from : placeText(from);
    this.#found.push({ kind, message: `${where} ${message}`.trim(), hint });
    return undefined;
  }

  /** A key that is none of `known`. */
  addUnknown(place: SourceLocation, what: string, known: Iterable<string>): void {
    const near = nearest(place.path.slice(place.path.lastIndexOf(".") + 1), known);
    this.add(place, `is ${what}`, near === undefined ? {} : { hint: `Did you mean ${near}?` });
  }

  /** @throws MongotapError with everything that was found; `usage` where only flags are at fault */
  throwIfAny(): void {
    const [first] = this.#found;
    if (first === undefined) return;
    const kinds = new Set(this.#found.map((fault) => fault.kind));
    const kind = kinds.size === 1 ? first.kind : "config";
    if (this.#found.length === 1) {
      throw new MongotapError(kind, first.message, first.hint === undefined ? {} : { hint: first.hint });
    }
    const all = this.#found.map(({ message, hint }) => (hint === undefined ? message : `${message} (${hint})`));
    throw new MongotapError(kind, all.join("; "));
  }
}
