import { expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { outputKeyOf } from "../../src/lib/output-key.ts";
import { contents, failureOf, openDirectory, openFile, put, scratch } from "./sinks.ts";

setDefaultTimeout(60_000); // a busy machine

const A = "app.a";
const B = "app.b";

test("openFileSink() makes the file at once, and gives it its own name when a state knows it", async () => {
  using dir = scratch();
  await using sink = await openFile(dir.at("out"));
  const marks = await sink.flush();
  expect(marks).toMatchObject([{ path: dir.at("out"), partial: "new", bytes: 0, lines: 0, finalized: false }]);
  expect(contents(dir.path)).toEqual({ "out.partial": "" });
  await sink.onStateSaved();
  expect(contents(dir.path)).toEqual({ out: "" });
  await put(sink, [A, "1\n2\n"]);
  await put(sink, [B, "3\n"]);
  const [mark] = await sink.flush();
  expect(mark).toMatchObject({ bytes: 6, lines: 3, finalized: false });
  expect(mark?.partial).toBeUndefined();
  expect(contents(dir.path)).toEqual({ out: "1\n2\n3\n" });
});

test("openFileSink() with finalizes shows the file under its own name only when it is complete", async () => {
  using dir = scratch();
  await using sink = await openFile(dir.at("out"), { finalizes: true });
  await put(sink, [A, "1\n"]);
  await sink.flush();
  await sink.onStateSaved();
  expect(contents(dir.path)).toEqual({ "out.partial": "1\n" });
  expect(await sink.finalize()).toMatchObject([{ path: dir.at("out"), bytes: 2, lines: 1, finalized: true }]);
  expect(contents(dir.path)).toEqual({ out: "1\n" });
  expect(await failureOf(put(sink, [A, "2\n"]))).toMatchObject({ kind: "state" });
});

test("openFileSink() without a state appends under the file's own name and returns no marks", async () => {
  using dir = scratch();
  await using sink = await openFile(dir.at("out"), { hasState: false });
  await put(sink, [A, "1\n"]);
  expect(await sink.flush()).toEqual([]);
  expect(contents(dir.path)).toEqual({ out: "1\n" });
  expect(await sink.finalize()).toMatchObject([{ bytes: 2, lines: 1, finalized: false }]);
});

test("openFileSink() on a directory keeps one file for each collection, lines in order", async () => {
  using dir = scratch();
  await using sink = await openDirectory(dir.at("new/out"));
  await put(sink, [A, "1\n"], [A, "2\n"], [B, "x\n"], [A, "3\n"], [B, "y\n"]);
  await put(sink, [A, "4\n"]);
  const marks = await sink.flush();
  expect(marks).toMatchObject([
    { path: dir.at("new/out/app.a.ndjson"), key: outputKeyOf(A), bytes: 8, lines: 4 },
    { path: dir.at("new/out/app.b.ndjson"), key: outputKeyOf(B), bytes: 4, lines: 2 },
  ]);
  await sink.onStateSaved();
  expect(contents(dir.at("new/out"))).toEqual({ "app.a.ndjson": "1\n2\n3\n4\n", "app.b.ndjson": "x\ny\n" });
});

test("openFileSink() makes the files of known collections even if no line comes", async () => {
  using dir = scratch();
  await using sink = await openDirectory(dir.path, { finalizes: true, outputs: [outputKeyOf(A), outputKeyOf(B)] });
  await put(sink, [B, "1\n"]);
  await sink.finalize();
  expect(contents(dir.path)).toEqual({ "app.a.ndjson": "", "app.b.ndjson": "1\n" });
});

test("openFileSink() writes more collections than it may hold files open", async () => {
  using dir = scratch();
  const names = Array.from({ length: 450 }, (_, index) => `app.c${index}`);
  await using sink = await openDirectory(dir.path);
  for (const round of ["1\n", "2\n"]) await put(sink, ...names.map((name) => [name, round] as const));
  expect(openFilesBelow(dir.path)).toBeWithin(1, 450);
  await sink.flush();
  await sink.onStateSaved();
  for (const name of names) await put(sink, [name, "3\n"]);
  const marks = await sink.flush();
  expect(marks.map((mark) => [mark.bytes, mark.lines])).toEqual(names.map(() => [6, 3]));
  expect(new Set(Object.values(contents(dir.path)))).toEqual(new Set(["1\n2\n3\n"]));
  expect(Object.keys(contents(dir.path))).toHaveLength(names.length);
});

test("openFileSink() refuses a finished file that no state knows, and does not touch it", async () => {
  using dir = scratch();
  writeFileSync(dir.at("out"), "precious\n");
  for (const finalizes of [true, false]) {
    const failure = await failureOf(openFile(dir.at("out"), { finalizes }));
    expect(failure).toMatchObject({ kind: "output" });
    expect(failure.message).toContain(dir.at("out"));
    expect(failure.hint).toContain("--fresh");
  }
  await using sink = await openDirectory(dir.path);
  writeFileSync(dir.at("app.a.ndjson"), "precious\n");
  expect(await failureOf(put(sink, [A, "1\n"]))).toMatchObject({ kind: "output" });
  expect(contents(dir.path)).toEqual({ out: "precious\n", "app.a.ndjson": "precious\n" });
});

test("openFileSink() takes an empty file, and keeps who may read it", async () => {
  using dir = scratch();
  writeFileSync(dir.at("out"), "", { mode: 0o600 });
  await using sink = await openFile(dir.at("out"), { finalizes: true });
  await put(sink, [A, "1\n"]);
  await sink.finalize();
  expect(contents(dir.path)).toEqual({ out: "1\n" });
  expect(statSync(dir.at("out")).mode & 0o777).toBe(0o600);
});

test("openFileSink() with replace leaves the older file in place until the new one is known or complete", async () => {
  using dir = scratch();
  for (const finalizes of [true, false]) {
    writeFileSync(dir.at("out"), "older\n");
    await using sink = await openFile(dir.at("out"), { finalizes, replace: true });
    await put(sink, [A, "newer\n"]);
    expect(await sink.flush()).toMatchObject([{ partial: "replacing" }]);
    expect(contents(dir.path)).toEqual({ out: "older\n", "out.partial": "newer\n" });
    await (finalizes ? sink.finalize() : sink.onStateSaved());
    expect(contents(dir.path)).toEqual({ out: "newer\n" });
  }
});

test("finalize() refuses to replace a file that came into being meanwhile", async () => {
  using dir = scratch();
  await using sink = await openFile(dir.at("out"), { finalizes: true });
  await put(sink, [A, "1\n"]);
  writeFileSync(dir.at("out"), "precious\n");
  expect(await failureOf(sink.finalize())).toMatchObject({ kind: "output" });
  expect(contents(dir.path)).toEqual({ out: "precious\n", "out.partial": "1\n" });
});

test("onStateSaved() names no file that the last marks did not speak of", async () => {
  using dir = scratch();
  await using sink = await openDirectory(dir.path);
  await put(sink, [A, "1\n"]);
  await sink.flush();
  await put(sink, [B, "2\n"]);
  await sink.onStateSaved();
  expect(contents(dir.path)).toEqual({ "app.a.ndjson": "1\n", "app.b.ndjson.partial": "2\n" });
});

test("openFileSink() writes what a crash before the first save left behind anew", async () => {
  using dir = scratch();
  writeFileSync(dir.at("out.partial"), "left behind, and longer\n");
  await using sink = await openFile(dir.at("out"));
  await put(sink, [A, "1\n"]);
  await sink.flush();
  await sink.onStateSaved();
  expect(contents(dir.path)).toEqual({ out: "1\n" });
});

const MEDDLING: readonly (readonly [what: string, (path: string) => void])[] = [
  ["appended to", (path) => appendFileSync(path, "x")],
  ["cut (copytruncate)", (path) => truncateSync(path, 0)],
  ["renamed (logrotate)", (path) => renameSync(path, `${path}.1`)],
  [
    "replaced",
    (path) => {
      renameSync(path, `${path}.1`);
      writeFileSync(path, readFileSync(`${path}.1`));
    },
  ],
];

for (const [what, meddle] of MEDDLING) {
  test(`write() and flush() notice a file that another program has ${what}`, async () => {
    using dir = scratch();
    for (const step of ["write", "flush"] as const) {
      const path = dir.at(step);
      await using sink = await openFile(path);
      await sink.flush();
      await sink.onStateSaved();
      await put(sink, [A, "1\n"]);
      if (step === "write") await sink.flush();
      meddle(path);
      const failure = await failureOf(step === "write" ? put(sink, [A, "2\n"]) : sink.flush());
      expect(failure).toMatchObject({ kind: "output" });
      expect(failure.message).toContain(path);
      expect(await failureOf(sink.flush())).toEqual(failure);
      expect(await failureOf(put(sink, [A, "3\n"]))).toEqual(failure);
      expect(await failureOf(sink.finalize())).toEqual(failure);
    }
  });
}

test("write() gives large bytes back at once: what is done to them afterwards is not written", async () => {
  using dir = scratch();
  await using sink = await openFile(dir.at("out"));
  const bytes = Buffer.alloc(3_000_000, "a");
  for (const letter of ["b", "c", "d", "e", "f"]) {
    await sink.write(bytes, [{ key: outputKeyOf(A), begin: 0, end: bytes.length, lines: 1 }]);
    bytes.fill(letter);
  }
  const [mark] = await sink.flush();
  expect(mark).toMatchObject({ bytes: 15_000_000, lines: 5 });
  expect(readFileSync(dir.at("out.partial"), "utf8")).toBe(
    ["a", "b", "c", "d", "e"].map((letter) => letter.repeat(3_000_000)).join(""),
  );
});

test("openFileSink() says what is wrong with a path", async () => {
  using dir = scratch();
  mkdirSync(dir.at("folder"));
  writeFileSync(dir.at("file"), "");
  symlinkSync(dir.at("file"), dir.at("link"));
  symlinkSync(dir.at("nowhere"), dir.at("broken"));
  const cases = [
    [() => openFile(dir.at("missing/out")), `the directory ${dir.at("missing")} does not exist`],
    [() => openFile(dir.at("file/out")), "a part of the path is not a directory"],
    [() => openFile(dir.at("folder")), "is a directory: end it with a slash"],
    [() => openFile(dir.at("link")), "is a symbolic link"],
    [() => openFile(dir.at("broken")), "is a symbolic link that leads nowhere"],
    [() => openFile(dir.at("x".repeat(300))), "the name is too long"],
    [() => openDirectory(dir.at("file")), "is not a directory"],
    [() => openDirectory(dir.at("file/sub")), "a part of the path is not a directory"],
    [() => openDirectory(dir.at("broken")), "is a symbolic link that leads nowhere"],
  ] as const;
  for (const [open, text] of cases) {
    const failure = await failureOf(open());
    expect(failure.kind).toBe("output");
    expect(failure.message).toContain(text);
    expect(failure.message).toContain(dir.path);
  }
  expect(Object.keys(contents(dir.path))).toEqual(["file"]);
});

/** Where the system can tell; else 1. */
function openFilesBelow(directory: string): number {
  if (!existsSync("/proc/self/fd")) return 1;
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ""; // the descriptor that read the list
    }
  });
  return targets.filter((target) => target.startsWith(directory)).length;
}
