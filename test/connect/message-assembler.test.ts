import { expect, test } from "bun:test";
import fc from "fast-check";
import { SizedMessageTransform } from "mongodb/lib/cmap/connection.js";
import { patchDriver } from "../../src/connect/driver-patches.ts";
import { MessageAssembler } from "../../src/connect/message-assembler.ts";

/** A message of the wire protocol: its length comes first. */
function messageOf(length: number, seed: number): Buffer {
  const message = Buffer.alloc(length, seed);
  message.writeInt32LE(length);
  return message;
}

/** A chunk in memory of its own, as a socket emits it. */
function chunkOf(bytes: Uint8Array): Buffer {
  return Buffer.from(Uint8Array.from(bytes).buffer);
}

/** Reads every complete message, as the driver does. */
function takeAll(buffer: MessageAssembler): Buffer[] {
  const taken: Buffer[] = [];
  for (let size = buffer.getInt32(); size !== null && size <= buffer.length; size = buffer.getInt32()) {
    taken.push(buffer.read(size));
  }
  return taken;
}

const LENGTHS = fc.oneof(fc.integer({ min: 16, max: 60 }), fc.integer({ min: 16, max: 300_000 }));
const CHUNK_LENGTHS = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 200_000 }));

test("messages are read as they were sent, whatever the chunks", () => {
  const property = fc.property(
    fc.array(LENGTHS, { minLength: 1, maxLength: 8 }),
    fc.array(CHUNK_LENGTHS, { minLength: 1, maxLength: 20 }),
    (lengths, chunkLengths) => {
      const sent = lengths.map((length, index) => messageOf(length, index + 1));
      const all = Buffer.concat(sent);
      const buffer = new MessageAssembler();
      const came: Buffer[] = [];
      let waiting = 0;
      for (let at = 0, turn = 0; at < all.length; turn += 1) {
        const chunk = all.subarray(
          at,
          at + (chunkLengths[turn % chunkLengths.length] ?? 1) + Math.floor(turn / 40) * 10_000,
        );
        at += chunk.length;
        buffer.append(chunkOf(chunk));
        waiting += chunk.length;
        expect(buffer.length).toBe(waiting);
        const taken = takeAll(buffer);
        waiting -= taken.reduce((sum, { length }) => sum + length, 0);
        came.push(...taken);
      }
      expect(buffer.length).toBe(0);
      expect(came.length).toBe(sent.length);
      for (const [index, message] of came.entries()) expect(message.equals(sent[index] ?? message)).toBeTrue();
    },
  );
  fc.assert(property, { numRuns: 200, examples: [[[16, 65_538, 16], [65_553]]] });
});

test("an impossible length allocates no memory", () => {
  for (const length of [-1, 0x50545448, 48_000_001]) {
    const buffer = new MessageAssembler();
    const chunk = messageOf(20, 1);
    chunk.writeInt32LE(length);
    buffer.append(chunk);
    buffer.append(Buffer.from("more"));
    expect(buffer.getInt32()).toBe(length);
    expect(buffer.length).toBe(24);
  }
});

test("the driver's connections use a ReplyBuffer: the memory of each chunk is freed when it arrives", () => {
  patchDriver();
  const Transform = SizedMessageTransform as unknown as new (options: object) => NodeJS.ReadWriteStream;
  const stream = new Transform({ connection: { delayedTimeoutId: null } });
  const came: Buffer[] = [];
  stream.on("data", (message: Buffer) => came.push(message));
  const sent = messageOf(1_000_000, 7);
  const chunks = [0, 400_000, 800_000].map((at) => chunkOf(sent.subarray(at, at + 400_000)));
  for (const chunk of chunks) stream.write(chunk);
  expect(chunks.map(({ length }) => length)).toEqual([0, 0, 0]);
  expect(came.map((message) => message.equals(sent))).toEqual([true]);
});
