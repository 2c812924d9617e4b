/** The arguments of a connector: what it knows counts, and of anything else a platform hears. */

import { expect, test } from "bun:test";
import { readArguments } from "../../src/connectors/arguments.ts";

const OPTIONS = {
  catalog: { type: "string" },
  state: { type: "string", short: "s" },
  discover: { type: "boolean" },
} as const;

function read(...argv: readonly string[]): ReturnType<typeof readArguments> {
  return readArguments("singer", argv, { options: OPTIONS, mostWords: 1 });
}

test("known options have their values, and words their order", () => {
  const { values, switches, words, notes } = read("read", "--catalog", "c", "-s", "s", "--discover");
  expect({ values, switches, words, notes }).toEqual({
    values: { catalog: "c", state: "s" },
    switches: new Set(["discover"]),
    words: ["read"],
    notes: [],
  });
});

test.each([
  [["w", "--catlog", "c"], ["--catlog is not an option of singer: it has no effect; did you mean --catalog?"]],
  [["w", "--stat=x"], ["--stat is not an option of singer: it has no effect; did you mean --state?"]],
  [["w", "--completely-other", "x"], ["--completely-other is not an option of singer: it has no effect"]],
  [["w", "extra"], ['"extra" is not an argument of singer: it has no effect']],
  [["w", "mongodb://u:secret@h"], ["a word is not an argument of singer: it has no effect"]],
  [["w", "--u:secret@h"], ["an argument that begins with a dash is not an option of singer: it has no effect"]],
])("%j: a warning each, and no secret", (argv, expected) => {
  const { notes, words } = read(...argv);
  expect({ notes, words }).toEqual({ notes: expected, words: ["w"] });
});

test("an option without its value is refused: without a state everything would be copied again", () => {
  expect(() => read("--state")).toThrow("--state needs a value");
  expect(() => read("-s")).toThrow("-s needs a value");
});
