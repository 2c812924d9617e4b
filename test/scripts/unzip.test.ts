import { expect, test } from "bun:test";
import { crc32, deflateRawSync } from "node:zlib";
import { unzip } from "../../scripts/mongod/unzip.ts";

/** A zip archive as the format's specification has it: local headers, central directory, end record. */
function zip(files: Readonly<Record<string, { content: Buffer; method: 0 | 8 }>>): Buffer {
  const body: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, { content, method }] of Object.entries(files)) {
    const packed = method === 8 ? deflateRawSync(content) : content;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed]);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), common, place, Buffer.from(name)]));
    body.push(local);
    offset += local.length;
  }
  const end = Buffer.alloc(18);
  end.writeUInt16LE(directory.length, 6);
  end.writeUInt32LE(Buffer.concat(directory).length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...body, ...directory, Buffer.from("PK\x05\x06"), end]);
}

const archive = zip({
  "a/stored.txt": { content: Buffer.from("as it is"), method: 0 },
  "a/packed.txt": { content: Buffer.from("again ".repeat(1_000)), method: 8 },
  "b/other.txt": { content: Buffer.from("not wanted"), method: 8 },
});

test("unzip() yields the wanted files, stored and compressed ones", () => {
  const files = [...unzip(archive, (name) => name.startsWith("a/"))];
  expect(files.map(({ name, content }) => [name, content.toString()])).toEqual([
    ["a/stored.txt", "as it is"],
    ["a/packed.txt", "again ".repeat(1_000)],
  ]);
});

test("unzip() throws on a truncated archive", () => {
  expect(() => [...unzip(archive.subarray(0, -30), () => true)]).toThrow();
});
