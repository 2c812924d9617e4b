import { expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { outputKeyOf, QUARANTINE } from "../../src/lib/output-key.ts";
import { openFileSink } from "../../src/sink/files.ts";
import { withQuarantine } from "../../src/sink/quarantine.ts";
import type { OutputMark, Sink } from "../../src/sink/sink.ts";
import { createWriteBehind } from "../../src/sink/write-behind.ts";
import { contents, failureOf, openDirectory, openFile, put, scratch } from "./sinks.ts";

setDefaultTimeout(60_000); // a busy machine

const A = "app.a";
const B = "app.b";

async function rollBack(sink: Sink): Promise<void> {
  if (sink.rollBack === undefined) throw new Error("the sink cannot roll back");
  await sink.rollBack();
}

type Step =
  | { readonly kind: "write"; readonly to: number; readonly text: string }
  | { readonly kind: "flush" | "name" | "rollBack" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      to: fc.integer({ min: 0, max: 3 }),
      text: fc.integer({ min: 0, max: 90_000 }).map((length) => `${"x".repeat(length)}\n`),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: "flush" } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "name" } as const) },
  { weight: 2, arbitrary: fc.constant({ kind: "rollBack" } as const) },
);

/** What each output must hold: the model that the sink is compared with. */
class Expected {
  now: Record<string, string> = {};
  flushed: Record<string, string> = {};

  write(name: string, text: string): void {
    this.now[name] = (this.now[name] ?? "") + text;
  }
  flush(): void {
    this.flushed = { ...this.now };
  }
  rollBack(): void {
    // A file that came later stays, empty.
    this.now = Object.fromEntries(Object.keys(this.now).map((name) => [name, this.flushed[name] ?? ""]));
  }
}

const OUTPUTS = [A, B, "app.c", QUARANTINE] as const;

test.each([
  ["with a state", true],
  ["without one", false],
] as const)(
  "any writes, flushes and roll-backs leave exactly the bytes and marks that they say, %s",
  async (_, hasState) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.boolean(), async (steps, isThreaded) => {
        using dir = scratch();
        const behind = isThreaded ? createWriteBehind({ minBytes: 10_000, startAfterBytes: 20_000 }) : undefined;
        const expected = new Expected();
        const target = { kind: "file", path: dir.at("bad"), key: QUARANTINE } as const;
        let marks: readonly OutputMark[] = [];
        {
          await using sink = withQuarantine(
            await openDirectory(dir.at("out"), { hasState, behind }),
            await openFile(dir.at("bad"), { target, hasState }),
          );
          expected.write("bad", "");
          for (const step of steps) {
            if (step.kind === "write") {
              const to = OUTPUTS[step.to] ?? A;
              await put(sink, [to, step.text]);
              expected.write(to === QUARANTINE ? "bad" : `out/${to as string}.ndjson`, step.text);
            } else if (step.kind === "flush") {
              marks = await sink.flush();
              expected.flush();
            } else if (step.kind === "name" && marks.length > 0) await sink.onStateSaved();
            else if (step.kind === "rollBack") {
              await rollBack(sink);
              expected.rollBack();
            }
          }
          await sink.written();
          const found = Object.entries(contents(dir.path)).map(([name, text]) => [name.replace(".partial", ""), text]);
          expect(Object.fromEntries(found)).toEqual(expected.now);
          marks = await sink.flush();
          await sink.onStateSaved();
        }
        if (!hasState) return;
        const sizes = Object.fromEntries(marks.map(({ path, bytes }) => [path.slice(dir.path.length + 1), bytes]));
        expect(sizes).toEqual(
          Object.fromEntries(Object.entries(expected.now).map(([name, { length }]) => [name, length])),
        );
        // The next run believes the marks: their checksums are of the bytes after the roll-back.
        const own = marks.filter(({ key }) => key.kind !== "quarantine");
        await using again = await openFileSink({
          target: { kind: "directory", path: dir.at("out") },
          marks: own,
          finalizes: false,
          replace: false,
          hasState,
        });
        expect(await again.flush()).toHaveLength(own.length);
      }),
      { numRuns: 60 },
    );
  },
);

test("rollBack() where nothing was flushed goes back to how the files were when they were opened", async () => {
  using dir = scratch();
  let marks: readonly OutputMark[];
  {
    await using sink = await openFile(dir.at("out"));
    await put(sink, [A, "1\n"]);
    marks = await sink.flush();
    await sink.onStateSaved();
  }
  await using sink = await openFile(dir.at("out"), { marks: marks.map(({ partial: _, ...mark }) => mark) });
  await put(sink, [A, "2\n"]);
  await rollBack(sink);
  expect(contents(dir.path)).toEqual({ out: "1\n" });
  await put(sink, [A, "3\n"]);
  expect(await sink.flush()).toMatchObject([{ bytes: 4, lines: 2 }]);
  expect(contents(dir.path)).toEqual({ out: "1\n3\n" });
});

test("rollBack() reaches files that were closed because there are too many", async () => {
  using dir = scratch();
  const names = Array.from({ length: 450 }, (_, index) => `app.c${index}`);
  await using sink = await openDirectory(dir.path);
  await put(sink, ...names.map((name) => [name, "1\n"] as const));
  await sink.flush();
  await put(sink, ...names.map((name) => [name, "2\n"] as const));
  await rollBack(sink);
  expect(new Set(Object.values(contents(dir.path)))).toEqual(new Set(["1\n"]));
  expect((await sink.flush()).map(({ bytes, lines }) => [bytes, lines])).toEqual(names.map(() => [2, 1]));
});

test("rollBack() leaves a file alone that another program has written to, and says so", async () => {
  using dir = scratch();
  await using sink = await openFile(dir.at("out"), { hasState: false });
  await put(sink, [A, "1\n"]);
  appendFileSync(dir.at("out"), "theirs\n");
  const failure = await failureOf(rollBack(sink));
  expect(failure.message).toContain("changed by another program");
  expect(readFileSync(dir.at("out"), "utf8")).toBe("1\ntheirs\n");
  expect(await failureOf(put(sink, [A, "2\n"]))).toEqual(failure);
});

test("a sink can roll back if all its outputs can", async () => {
  using dir = scratch();
  await using file = await openFile(dir.at("out"), { hasState: false });
  await using device = await openFile("/dev/null", { hasState: false });
  expect([file.rollBack !== undefined, device.rollBack !== undefined]).toEqual([true, false]);
  await using second = await openFile(dir.at("bad"), {
    hasState: false,
    target: { kind: "file", path: dir.at("bad"), key: outputKeyOf(B) },
  });
  expect(withQuarantine(file, second).rollBack).toBeDefined();
  expect(withQuarantine(file, device).rollBack).toBeUndefined();
  expect(withQuarantine(device, file).rollBack).toBeUndefined();
});
