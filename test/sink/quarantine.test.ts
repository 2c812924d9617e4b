import { expect, test } from "bun:test";
import { outputKeyOf, QUARANTINE } from "../../src/lib/output-key.ts";
import { withQuarantine } from "../../src/sink/quarantine.ts";
import type { Sink } from "../../src/sink/sink.ts";
import { contents, openDirectory, openFile, put, scratch } from "./sinks.ts";

const A = "app.a";

/** A sink that notes when it is closed, and then fails with `error`. */
function closing(log: string[], name: string, error?: Error): Sink {
  return {
    mayBlock: false,
    write: async () => undefined,
    written: async () => undefined,
    flush: async () => [],
    onStateSaved: async () => undefined,
    finalize: async () => [],
    [Symbol.asyncDispose]: async () => {
      log.push(`close ${name}`);
      if (error !== undefined) throw error;
    },
  };
}

test("lines in quarantine go to the second output only, and both are committed together", async () => {
  using dir = scratch();
  const path = dir.at("bad");
  const open = async (): Promise<Sink> =>
    withQuarantine(
      await openDirectory(dir.at("out")),
      await openFile(path, { target: { kind: "file", path, key: QUARANTINE } }),
    );
  await using sink = await open();
  await put(sink, [A, "1\n"], [QUARANTINE, "?\n"], [A, "2\n"]);
  await put(sink, [A, "3\n"]);
  expect(await sink.flush()).toMatchObject([
    { path: dir.at("out/app.a.ndjson"), key: outputKeyOf(A), bytes: 6, lines: 3 },
    { path, key: QUARANTINE, bytes: 2, lines: 1 },
  ]);
  await sink.onStateSaved();
  expect(contents(dir.path)).toEqual({ bad: "?\n", "out/app.a.ndjson": "1\n2\n3\n" });
});

test("a directory has no file for documents in quarantine", async () => {
  using dir = scratch();
  await using sink = await openDirectory(dir.path);
  await expect(put(sink, [QUARANTINE, "?\n"])).rejects.toThrow("there is no file for quarantine");
  expect(contents(dir.path)).toEqual({});
});

test.each(["main", "quarantine", "both"] as const)(
  "both outputs are closed when the closing of %s fails",
  async (which) => {
    const log: string[] = [];
    const errorOf = (name: string): Error | undefined =>
      which === name || which === "both" ? new Error(`${name} failed`) : undefined;
    const sink = withQuarantine(
      closing(log, "main", errorOf("main")),
      closing(log, "quarantine", errorOf("quarantine")),
    );
    const first = which === "both" ? "main" : which;
    await expect(sink[Symbol.asyncDispose]()).rejects.toThrow(`${first} failed`);
    expect(log).toEqual(["close main", "close quarantine"]);
  },
);
