/** The table of docs/platforms.md: what each platform gets, and the test that shows it. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** By the first cell of a row, the beginnings of the names of tests: for Airbyte, Singer and Flow. */
const TESTS: Readonly<Record<string, readonly (string | undefined)[]>> = {
  "what is there, then changes": [
    "copies streams without a state, then sends inserts, updates and deletes: the rows are those of a find",
    "without a catalog reads everything; the next ones read what has changed, deletions too",
    "its collections are what a find returns, wherever sessions are killed, stopped or ended",
  ],
  "what is there, as a whole": [
    "that was cut goes on within its generation, and begins anew in the next",
    "a stream without changes is copied with each run",
  ],
  "views and time series": [
    "a read of a view and a time series is a copy every time",
    "a stream without changes is copied with each run",
    "discover leaves out views, time series and excluded collections",
  ],
  "a deleted document": [
    "copies streams without a state, then sends inserts, updates and deletes: the rows are those of a find",
    "without a catalog reads everything; the next ones read what has changed, deletions too",
    "its collections are what a find returns, wherever sessions are killed, stopped or ended",
  ],
  "order of changes": [
    "columns: a first read, increments with a new field, and a read that is killed",
    "from any earlier STATE has what came after it, once",
    "its collections are what a find returns, wherever sessions are killed, stopped or ended",
  ],
  "one record of a document in a read": [
    "each read has one record of a document, and all reads together what is there",
    undefined,
    "its collections are what a find returns, wherever sessions are killed, stopped or ended",
  ],
  "a dropped or replaced collection": [
    "a read of a collection that is dropped and made again has what is there afterwards; the end is logged",
    "a collection that is dropped or replaced makes its rows void",
    "after a drop and $out the documents that come later are there, and the log says what was left out",
  ],
  "lost history": [
    "a read whose history is lost is a config_error with 6",
    "lost history: the run ends with 6, and its STATE makes the next one copy again",
    "fails one session, when its new state has been committed, and the next one copies again",
  ],
  columns: [
    "one column: fields that PyAirbyte cannot have as columns are loaded as they are",
    "fields: what discover says stays as exact as it is",
    "spec, discover, validate and apply have one answer each",
  ],
  "selection of fields": [
    undefined,
    "reads the selected streams and fields alone, and keeps the bookmarks of the others",
  ],
  state: [
    "holds every stream of the read, also those that are copied as a whole, and counts all records",
    "from any earlier STATE has what came after it, once",
    "a session that resumes at any checkpoint has its position",
  ],
  "a stream that was left out for a while": [
    "%s: one that was not selected for a while gets what it has missed",
    "reads the selected streams and fields alone, and keeps the bookmarks of the others",
    "bindings come, go and come back",
  ],
  "a standalone server": [
    "airbyte: increments of a collection are refused before anything is sent",
    "singer: a catalog of a replica set is refused; what discover says here is read",
    "flow: discover, validate and a capture fail alike",
  ],
  SIGTERM: [
    "with SIGTERM while it reads: the streams are INCOMPLETE, and the state covers what was sent",
    "SIGTERM: by that signal, and the last STATE covers every record",
    "SIGTERM and the end of its requests stop it before it has begun, and while nobody reads",
  ],
};

const DOC = readFileSync(join(import.meta.dirname, "../../docs/platforms.md"), "utf8");
/** By the first cell, what the row says of Airbyte, Singer and Flow. */
const ROWS = new Map(
  DOC.split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| |"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .map(([name = "", ...cells]) => [name, cells] as const),
);
const SOURCES = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".test.ts") && file !== "platforms-table.test.ts")
  .map((file) => readFileSync(join(import.meta.dirname, file), "utf8"))
  .join("\n");

test("each row of the table has tests, and no other", () => {
  expect(Object.keys(TESTS)).toEqual([...ROWS.keys()]);
});

test.each(Object.entries(TESTS))("%s: a test for each platform that has it", (name, tests) => {
  for (const [i, cell] of (ROWS.get(name) ?? []).entries()) {
    const title = tests[i];
    if (cell === "–") expect(title).toBeUndefined();
    else expect(SOURCES).toContain(`"${title}`);
  }
});
