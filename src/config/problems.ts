/** What is wrong with a configuration, collected so that a user can correct all of it at once. */

import { type Kind, MongotapError } from "../errors.ts";
import { didYouMean } from "../lib/did-you-mean.ts";

/** A position in a config file. */
export interface SourceLocation {
  /** The name of the file as the user gave it. */
  readonly file: string;
  readonly line: number;
  /** Such as `bindings[0].resource.database`; empty for the whole file. */
  readonly path: string;
}

/** `flow.yaml:3: bindings[0].target` */
export function locationText({ file, line, path }: SourceLocation): string {
  return path === "" ? `${file}:${line}` : `${file}:${line}: ${path}`;
}

interface Problem {
  readonly kind: Kind;
  readonly message: string;
  readonly hint: string | undefined;
}

export class ConfigProblems {
  readonly #found: Problem[] = [];

  /**
   * Adds a problem. `message` continues the text of `from`: a flag, a variable, or a location in a file. Always returns
   * undefined, so that a reader can return what this returns.
   */
  add(
    from: SourceLocation | string,
    message: string,
    { kind = "config", hint }: { kind?: Kind; hint?: string } = {},
  ): undefined {
    const where = typeof from === "string" ? from : locationText(from);
    this.#found.push({ kind, message: `${where} ${message}`.trim(), hint });
    return undefined;
  }

  /** Adds a key that is not in `known`. `what` such as "not a key of a binding". */
  addUnknown(location: SourceLocation, what: string, known: Iterable<string>): void {
    const near = didYouMean(location.path.slice(location.path.lastIndexOf(".") + 1), known);
    this.add(location, `is ${what}`, near === undefined ? {} : { hint: `Did you mean ${near}?` });
  }

  /** Adds an error that one part of the configuration was refused with. @throws `error` if it is no MongotapError */
  addError(error: unknown): undefined {
    if (!(error instanceof MongotapError)) throw error;
    return this.add(error.message, "", { kind: error.kind, hint: error.hint });
  }

  /** @throws MongotapError with all problems; of their kind if they have one kind in common, else `config` */
  throwIfAny(): void {
    const [first] = this.#found;
    if (first === undefined) return;
    const kinds = new Set(this.#found.map((problem) => problem.kind));
    const kind = kinds.size === 1 ? first.kind : "config";
    if (this.#found.length === 1) {
      throw new MongotapError(kind, first.message, first.hint === undefined ? {} : { hint: first.hint });
    }
    const all = this.#found.map(({ message, hint }) => (hint === undefined ? message : `${message} (${hint})`));
    throw new MongotapError(kind, all.join("; "));
  }
}
