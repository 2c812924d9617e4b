/** JSON, and where a text stops being it: the messages of `JSON.parse` differ by engine, and quote the text, which may be a password. */

import { MongotapError } from "../errors.ts";

interface Mistake {
  readonly offset: number;
  readonly expected: string;
}

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/y;
const OTHER_SCALAR = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;

const A_VALUE = "a value, such as text in double quotes";
const A_KEY = "a key in double quotes";
const A_WHOLE_TEXT = "text on one line with both of its double quotes (\\n for a line break)";

/**
 * Parses `text`, the content of `file`.
 * @throws MongotapError `config` with the line and the column of the first mistake; the message does not quote the text
 */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidJson(text, file);
  }
}

function invalidJson(text: string, file: string): MongotapError {
  const mistake = new Scanner(text).find();
  const before = text.slice(0, mistake.offset).split("\n");
  const at = `${file}:${before.length}:${(before.at(-1) ?? "").length + 1}`;
  const found = mistake.offset >= text.length ? ", but the text ends" : "";
  return new MongotapError("config", `${at} is not valid JSON: expected ${mistake.expected}${found}`, {
    hint: "Correct the JSON at this line and column.",
  });
}

class Scanner {
  readonly #text: string;
  #at = 0;
  /** The brackets that are open, by how they are closed. */
  readonly #open: ("}" | "]")[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  find(): Mistake {
    for (;;) {
      const mistake = this.#value();
      if (mistake !== undefined) return mistake;
    }
  }

  /** Passes over a value, or over the beginning of an object or array, and what follows. */
  #value(): Mistake | undefined {
    if (this.#takes("{")) {
      this.#open.push("}");
      return this.#takes("}") ? this.#end() : this.#key();
    }
    if (this.#takes("[")) {
      this.#open.push("]");
      return this.#takes("]") ? this.#end() : undefined;
    }
    return this.#matches(STRING) || this.#matches(OTHER_SCALAR) ? this.#afterValue() : this.#unread(A_VALUE);
  }

  #key(): Mistake | undefined {
    if (!this.#matches(STRING)) return this.#unread(A_KEY);
    return this.#takes(":") ? undefined : this.#mistake("a colon");
  }

  /** Passes over the end of an object or array. */
  #end(): Mistake | undefined {
    this.#open.pop();
    return this.#afterValue();
  }

  #afterValue(): Mistake | undefined {
    this.#matches(SPACE);
    const close = this.#open.at(-1);
    if (close === undefined) return this.#mistake("the end of the text");
    if (this.#takes(",")) return close === "}" ? this.#key() : undefined;
    return this.#takes(close) ? this.#end() : this.#mistake(`a comma or ${close}`);
  }

  #takes(character: string): boolean {
    this.#matches(SPACE);
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #matches(pattern: RegExp): boolean {
    if (pattern !== SPACE) this.#matches(SPACE);
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #unread(expected: string): Mistake {
    return this.#mistake(this.#text[this.#at] === '"' ? A_WHOLE_TEXT : expected);
  }

  #mistake(expected: string): Mistake {
    return { offset: this.#at, expected };
  }
}
