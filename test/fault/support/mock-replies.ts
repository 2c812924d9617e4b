/** What a mock server answers to getMores: a stream that begins at its time and goes on. */
import type { Document } from "mongodb";
import { after, batch, type Handler, insertAt, MOCK_NOW, tokenAt } from "../../support/mock-server.ts";

export const idle: Handler = async ({ maxTimeMS }) => {
  await Bun.sleep(Number(maxTimeMS ?? 0));
  return batch([], { postBatchResumeToken: tokenAt(after(MOCK_NOW, 100)) });
};

/** The first getMores are answered with `replies` one after the other, all others with no events. */
export function getMores(...replies: (Document | Handler)[]): Handler {
  return (command, count) => {
    const reply = replies[count - 1];
    if (reply === undefined) return idle(command, count);
    return typeof reply === "function" ? reply(command, count) : reply;
  };
}

export function inserts(...numbers: number[]): Document {
  const events = numbers.map((number) => insertAt(after(MOCK_NOW, number), { _id: number }));
  return batch(events, { postBatchResumeToken: events.at(-1)?.["_id"] as Document });
}
