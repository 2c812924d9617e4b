import { expect, setDefaultTimeout, test } from "bun:test";
import { constants, closeSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { outputKeyOf } from "../../src/lib/output-key.ts";
import { createWriteBehind, type WriteBehind } from "../../src/sink/write-behind.ts";
import { waitFor } from "../support/wait.ts";
import { contents, failureOf, openDirectory, openFile, put, scratch } from "./sinks.ts";

setDefaultTimeout(60_000); // a busy machine

const A = "app.a";
const B = "app.b";
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;

/** For everything, from the first byte on, unless `minBytes` says so. */
function behind(minBytes = 0): WriteBehind {
  const made = createWriteBehind({ minBytes, startAfterBytes: 0 });
  if (made === undefined) throw new Error("the tests run under Bun");
  return made;
}

test("lines written by the thread stand in each file in the order of the calls, short ones between long ones", async () => {
  using dir = scratch();
  await using sink = await openDirectory(dir.path, { behind: behind(100_000) });
  const expected: Record<string, string> = { [A]: "", [B]: "" };
  for (let round = 0; round < 60; round += 1) {
    const parts = [A, B, A].map((name, part) => {
      const text = `${round}.${part} ${"x".repeat((round * 97_003 + part * 31) % 900_000)}\n`;
      expected[name] = (expected[name] ?? "") + text;
      return [name, text] as const;
    });
    await put(sink, ...(round % 3 === 0 ? parts.slice(0, 1) : parts));
    if (round % 3 === 0) for (const [name, text] of parts.slice(1)) await put(sink, [name, text]);
    if (round % 7 === 0) await sink.flush();
  }
  const marks = await sink.flush();
  expect(marks.map(({ bytes, lines }) => [bytes, lines])).toEqual([
    [expected[A]?.length ?? 0, 120],
    [expected[B]?.length ?? 0, 60],
  ]);
  await sink.onStateSaved();
  const found = contents(dir.path);
  for (const name of [A, B]) expect(found[`${name}.ndjson`] === expected[name]).toBeTrue();
});

test("bytes may be used again as soon as write() resolves", async () => {
  using dir = scratch();
  const bytes = Buffer.alloc(5_000_000);
  const letters = ["a", "b", "c", "d", "e", "f"];
  await using sink = await openFile(dir.at("out"), { behind: behind() });
  for (const letter of letters) {
    bytes.fill(letter);
    await sink.write(bytes, [{ key: outputKeyOf(A), begin: 0, end: bytes.length, lines: 1 }]);
  }
  bytes.fill("x");
  await sink.flush();
  await sink.onStateSaved();
  const found = readFileSync(dir.at("out"));
  expect(found.length).toBe(letters.length * bytes.length);
  for (const [index, letter] of letters.entries()) {
    const part = found.subarray(index * bytes.length, (index + 1) * bytes.length);
    expect(part.equals(Buffer.alloc(bytes.length, letter))).toBeTrue();
  }
});

test("closing a sink writes what was taken over", async () => {
  using dir = scratch();
  const text = `${"y".repeat(6_000_000)}\n`;
  {
    await using sink = await openFile(dir.at("out"), { behind: behind(), hasState: false });
    await put(sink, [A, text]);
  }
  expect(readFileSync(dir.at("out"), "utf8") === text).toBeTrue();
});

test("behind a failed write nothing is written, and the failure names the file and why", async () => {
  using dir = scratch();
  await using writer = behind(10);
  writeFileSync(dir.at("locked"), "");
  const locked = openSync(dir.at("locked"), constants.O_RDONLY);
  const good = openSync(dir.at("good"), APPEND);
  await writer.append({ fd: good, path: "good", begin: 0 }, Buffer.from("first\n"));
  const failing = async (): Promise<void> => {
    await writer.append({ fd: locked, path: "locked", begin: 0 }, Buffer.from("second\n"));
    await writer.append({ fd: good, path: "good", begin: 6 }, Buffer.from("third\n"));
    await writer.written();
  };
  const expected = {
    kind: "output",
    message: expect.stringMatching(/^cannot write to locked: .*bad file descriptor/i),
  };
  expect(await failureOf(failing())).toMatchObject(expected);
  await waitFor(() => writer.isIdle, { what: "the thread to have looked at it all" });
  const short = Buffer.from("4\n");
  expect(writer.takes(short.length)).toBeTrue();
  expect(await failureOf(writer.append({ fd: good, path: "good", begin: 6 }, short))).toMatchObject(expected);
  expect(await failureOf(writer.written())).toMatchObject(expected);
  expect(readFileSync(dir.at("good"), "utf8")).toBe("first\n");
  closeSync(locked);
  closeSync(good);
});

test("what is short or little is left to the caller, and no thread is started for it", async () => {
  using dir = scratch();
  const writer = createWriteBehind({ minBytes: 100, startAfterBytes: 250 });
  await using _ = writer;
  const long = Buffer.alloc(100);
  const asked = [99, 100, 100, 99, 100, 100].map((length) => writer?.takes(length));
  expect(asked).toEqual([false, false, false, false, true, true]);
  const fd = openSync(dir.at("out"), APPEND);
  await writer?.append({ fd, path: "out", begin: 0 }, long);
  expect(writer?.takes(1)).toBeTrue(); // until the thread has written, all has to follow
  await writer?.written();
  expect(writer?.takes(1)).toBeFalse();
  expect(statSync(dir.at("out")).size).toBe(100);
  closeSync(fd);
});
