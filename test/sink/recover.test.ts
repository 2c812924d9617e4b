import { expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import type { OutputMark } from "../../src/sink/sink.ts";
import { contents, failureOf, openDirectory, openFile, put, scratch } from "./sinks.ts";

const A = "app.a";
const B = "app.b";

/** Two files of a capture with marks at "1\n" and "x\n", and bytes behind the marks. */
async function interrupted(path: string): Promise<readonly OutputMark[]> {
  await using sink = await openDirectory(path);
  await put(sink, [A, "1\n"], [B, "x\n"]);
  const marks = await sink.flush();
  await sink.onStateSaved();
  await put(sink, [A, "2\n"], [B, "y"]);
  return marks;
}

test("openFileSink() cuts every file back to its mark and goes on from there", async () => {
  using dir = scratch();
  const marks = await interrupted(dir.path);
  await using sink = await openDirectory(dir.path, { marks });
  expect(contents(dir.path)).toEqual({ "app.a.ndjson": "1\n", "app.b.ndjson": "x\n" });
  await put(sink, [A, "3\n"]);
  expect(await sink.flush()).toMatchObject([
    { bytes: 4, lines: 2 },
    { bytes: 2, lines: 1 },
  ]);
  expect(contents(dir.path)).toEqual({ "app.a.ndjson": "1\n3\n", "app.b.ndjson": "x\n" });
});

test("openFileSink() gives a file that the state knows its own name, also when the crash came before that", async () => {
  using dir = scratch();
  let marks: readonly OutputMark[];
  {
    await using sink = await openFile(dir.at("out"));
    await put(sink, [A, "1\n"]);
    marks = await sink.flush();
    await put(sink, [A, "2\n"]);
  }
  expect(contents(dir.path)).toEqual({ "out.partial": "1\n2\n" });
  await using sink = await openFile(dir.at("out"), { marks });
  expect(contents(dir.path)).toEqual({ out: "1\n" });
  expect((await sink.flush())[0]?.partial).toBeUndefined();
});

test("openFileSink() with finalizes takes a file back that got its own name just before the crash", async () => {
  using dir = scratch();
  let marks: readonly OutputMark[];
  {
    await using sink = await openFile(dir.at("out"), { finalizes: true });
    await put(sink, [A, "1\n"]);
    marks = await sink.flush();
    await put(sink, [A, "2\n"]);
    await sink.finalize();
  }
  expect(contents(dir.path)).toEqual({ out: "1\n2\n" });
  await using sink = await openFile(dir.at("out"), { finalizes: true, marks });
  expect(contents(dir.path)).toEqual({ "out.partial": "1\n" });
  await put(sink, [A, "2\n"]);
  await sink.finalize();
  expect(contents(dir.path)).toEqual({ out: "1\n2\n" });
});

test("openFileSink() remembers that an older file may be replaced", async () => {
  using dir = scratch();
  writeFileSync(dir.at("out"), "older\n");
  let marks: readonly OutputMark[];
  {
    await using sink = await openFile(dir.at("out"), { finalizes: true, replace: true });
    await put(sink, [A, "1\n"]);
    marks = await sink.flush();
  }
  await using sink = await openFile(dir.at("out"), { finalizes: true, marks });
  expect(contents(dir.path)).toEqual({ out: "older\n", "out.partial": "1\n" });
  await sink.finalize();
  expect(contents(dir.path)).toEqual({ out: "1\n" });
});

test("openFileSink() leaves a finished output as it is", async () => {
  using dir = scratch();
  let marks: readonly OutputMark[];
  {
    await using sink = await openFile(dir.at("out"), { finalizes: true });
    await put(sink, [A, "1\n"]);
    marks = await sink.finalize();
  }
  await using sink = await openFile(dir.at("out"), { finalizes: true, marks });
  expect(await sink.flush()).toEqual(marks);
  expect(await sink.finalize()).toEqual(marks);
  expect(contents(dir.path)).toEqual({ out: "1\n" });
});

const DAMAGE: readonly (readonly [what: string, (path: string) => void, said: readonly string[]])[] = [
  ["is shorter", (path) => truncateSync(path, 1), ["is shorter", "records 2 bytes", "it has 1"]],
  ["is empty", (path) => truncateSync(path, 0), ["is shorter", "records 2 bytes", "it has 0"]],
  ["is missing", (path) => rmSync(path), ["is missing", "records 2 bytes"]],
  ["has other content", (path) => writeFileSync(path, "?\n?\n"), ["not the file that the state knows"]],
  [
    "is a directory",
    (path) => {
      rmSync(path);
      mkdirSync(path);
    },
    ["cannot be read"],
  ],
  [
    "is a symbolic link",
    (path) => {
      renameSync(path, `${path}.1`);
      symlinkSync(`${path}.1`, path);
    },
    ["it is a symbolic link"],
  ],
];

for (const [what, damage, said] of DAMAGE) {
  test(`openFileSink() touches nothing when one of its files ${what}`, async () => {
    using dir = scratch();
    const marks = await interrupted(dir.path);
    damage(dir.at("app.b.ndjson"));
    const before = contents(dir.path);
    expect(before["app.a.ndjson"]).toBe("1\n2\n");
    const failure = await failureOf(openDirectory(dir.path, { marks }));
    expect(failure.kind).toBe("state");
    for (const text of [dir.at("app.b.ndjson"), "nothing was written", ...said])
      expect(failure.message).toContain(text);
    expect(contents(dir.path)).toEqual(before);
  });
}

test("openFileSink() notices that a file was changed within the last 64 KiB before its mark", async () => {
  using dir = scratch();
  const path = dir.at("out");
  let marks: readonly OutputMark[];
  {
    await using sink = await openFile(path);
    await put(sink, [A, `${"x".repeat(99_999)}\n`]);
    marks = await sink.flush();
    await sink.onStateSaved();
  }
  const bytes = readFileSync(path);
  for (const offset of [100_000 - 65_536, 70_000, 99_999]) {
    const changed = Buffer.from(bytes);
    changed[offset] = 0;
    writeFileSync(path, changed);
    expect(await failureOf(openFile(path, { marks }))).toMatchObject({ kind: "state" });
  }
  writeFileSync(path, bytes);
  await using _sink = await openFile(path, { marks });
});

test("openFileSink() never cuts another file to nothing because the state knows an empty one", async () => {
  using dir = scratch();
  let marks: readonly OutputMark[];
  {
    await using sink = await openFile(dir.at("out"));
    marks = await sink.flush();
    await sink.onStateSaved();
    await put(sink, [A, "1\n"]);
  }
  copyFileSync(dir.at("out"), dir.at("copy"));
  renameSync(dir.at("copy"), dir.at("out"));
  expect(await failureOf(openFile(dir.at("out"), { marks }))).toMatchObject({ kind: "state" });
  expect(contents(dir.path)).toEqual({ out: "1\n" });
});

test("openFileSink() refuses a finished file that has grown", async () => {
  using dir = scratch();
  let marks: readonly OutputMark[];
  {
    await using sink = await openFile(dir.at("out"), { finalizes: true });
    await put(sink, [A, "1\n"]);
    marks = await sink.finalize();
  }
  appendFileSync(dir.at("out"), "2\n");
  const failure = await failureOf(openFile(dir.at("out"), { finalizes: true, marks }));
  expect(failure).toMatchObject({ kind: "state" });
  expect(failure.message).toContain("has grown");
  expect(contents(dir.path)).toEqual({ out: "1\n2\n" });
});

test("openFileSink() refuses to choose between a file and its partial twin", async () => {
  using dir = scratch();
  let marks: readonly OutputMark[];
  {
    await using sink = await openFile(dir.at("out"));
    await put(sink, [A, "1\n"]);
    marks = await sink.flush();
  }
  writeFileSync(dir.at("out"), "precious\n");
  expect(await failureOf(openFile(dir.at("out"), { marks }))).toMatchObject({ kind: "state" });
  expect(contents(dir.path)).toEqual({ out: "precious\n", "out.partial": "1\n" });
});

test("openFileSink() refuses marks of another output", async () => {
  using dir = scratch();
  const marks = await interrupted(dir.at("one"));
  for (const open of [
    () => openDirectory(dir.at("two"), { marks }),
    () => openFile(dir.at("one.ndjson"), { marks }),
    () => openFile("/dev/null", { marks }),
  ]) {
    expect(await failureOf(open())).toMatchObject({ kind: "state" });
  }
  expect(Object.keys(contents(dir.path))).toEqual(["one/app.a.ndjson", "one/app.b.ndjson"]);
});
