import { expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { prefetch } from "../../src/lib/async.ts";

test("prefetch() yields an item when the request for the next one has been sent", async () => {
  let sent = 0;
  const source = {
    async *[Symbol.asyncIterator](): AsyncGenerator<number> {
      for (let item = 1; item <= 5; item += 1) {
        // As the driver does it: the request is written some promises after it was made.
        for (let i = 0; i < 100; i += 1) await Promise.resolve();
        sent = item;
        await setImmediate();
        yield item;
      }
    },
  };
  for await (const item of prefetch(source, 1)) {
    expect(sent).toBe(Math.min(item + 1, 5));
    const until = performance.now() + 5; // keeps the thread busy, as encoding does
    while (performance.now() < until);
  }
});
