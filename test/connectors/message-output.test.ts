import { describe, expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { MessageOutput } from "../../src/connectors/message-output.ts";
import { outputKeyOf } from "../../src/lib/output-key.ts";
import type { Segment } from "../../src/sink/sink.ts";
import { UnmarkedSink } from "../support/sink.ts";

/** Keeps what is written; each write waits until it is let through. */
class SlowSink extends UnmarkedSink {
  readonly texts: string[] = [];
  readonly #waiting: PromiseWithResolvers<void>[] = [];

  async write(bytes: Uint8Array): Promise<void> {
    const gate = Promise.withResolvers<void>();
    this.#waiting.push(gate);
    const text = new TextDecoder().decode(bytes);
    await gate.promise;
    this.texts.push(text);
  }

  get pending(): number {
    return this.#waiting.length;
  }

  /** Ends the write that waits. */
  async letThrough(error?: Error): Promise<void> {
    await setImmediate();
    const gate = this.#waiting.shift();
    if (error === undefined) gate?.resolve();
    else gate?.reject(error);
    await setImmediate();
  }
}

const encoder = new TextEncoder();

function segmentsOf(text: string, name: string): Segment[] {
  return [{ key: outputKeyOf(name), begin: 0, end: text.length, lines: text.split("\n").length - 1 }];
}

describe("messages between records", () => {
  test("come whole, in the order in which they were said, and wait for the write before", async () => {
    const sink = new SlowSink();
    await using output = new MessageOutput(sink);
    const records = output.write(encoder.encode("r1\nr2\n"), segmentsOf("r1\nr2\n", "shop.c"));
    const state = output.say({ type: "STATE" }, '{"type":"LOG"}');
    await sink.letThrough();
    expect(sink.texts).toEqual(["r1\nr2\n"]);
    await records;
    await sink.letThrough();
    await state;
    expect(sink.texts.slice(1)).toEqual(['{"type":"STATE"}\n{"type":"LOG"}\n']);
  });

  test("are never two writes at once", async () => {
    const sink = new SlowSink();
    await using output = new MessageOutput(sink);
    void output.say("a");
    void output.say("b");
    await setImmediate();
    expect(sink.pending).toBe(1);
    await sink.letThrough();
    await sink.letThrough();
    expect(sink.texts).toEqual(["a\n", "b\n"]);
  });

  test("after a failed write every call fails with its error, and nothing more is written", async () => {
    const sink = new SlowSink();
    await using output = new MessageOutput(sink);
    void output.say("a");
    void output.say("b");
    await sink.letThrough(new Error("the reader is gone"));
    await expect(output.written()).rejects.toThrow("the reader is gone");
    await expect(output.say("c")).rejects.toThrow("the reader is gone");
    expect(sink.texts).toEqual([]);
    expect(sink.pending).toBe(0);
  });
});

test("records are counted by collection, from one count to the next", async () => {
  const sink = new SlowSink();
  await using output = new MessageOutput(sink);
  for (const [text, name] of [
    ["1\n2\n", "shop.c"],
    ["3\n", "shop.d"],
    ["4\n", "shop.c"],
  ] as const) {
    const written = output.write(encoder.encode(text), segmentsOf(text, name));
    await sink.letThrough();
    await written;
  }
  expect([output.hasCount("shop.c"), output.takeCount("shop.c"), output.takeCount("shop.d")]).toEqual([true, 3, 1]);
  expect([output.hasCount("shop.c"), output.takeCount("shop.c")]).toEqual([false, 0]);
});
