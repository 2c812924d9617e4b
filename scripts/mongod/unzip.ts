/** Reads files from a zip archive (a Python wheel is one) without a program or package. */
import { inflateRawSync } from "node:zlib";

const END_OF_CENTRAL_DIRECTORY = 0x06054b50;
const CENTRAL_DIRECTORY_ENTRY = 0x02014b50;

/** Yields the files of `archive` whose name `isWanted` accepts. Throws if the archive is truncated or damaged. */
export function* unzip(
  archive: Buffer,
  isWanted: (name: string) => boolean,
): Generator<{ name: string; content: Buffer }> {
  // The end record is 22 bytes, followed by a comment of at most 64 KiB.
  let end = archive.length - 22;
  while (end >= 0 && archive.readUInt32LE(end) !== END_OF_CENTRAL_DIRECTORY) end -= 1;
  if (end < 0) throw new Error("not a zip archive, or a truncated one");
  const count = archive.readUInt16LE(end + 10);
  let at = archive.readUInt32LE(end + 16);
  for (let index = 0; index < count; index += 1) {
    if (archive.readUInt32LE(at) !== CENTRAL_DIRECTORY_ENTRY) throw new Error("the zip archive is damaged");
    const method = archive.readUInt16LE(at + 10);
    const packedSize = archive.readUInt32LE(at + 20);
    const size = archive.readUInt32LE(at + 24);
    const nameLength = archive.readUInt16LE(at + 28);
    const skip = archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
    const local = archive.readUInt32LE(at + 42);
    const name = archive.toString("utf8", at + 46, at + 46 + nameLength);
    at += 46 + nameLength + skip;
    if (!isWanted(name)) continue;
    // The local header repeats the name, with an extra field of its own length.
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const packed = archive.subarray(start, start + packedSize);
    const content = method === 0 ? packed : inflateRawSync(packed);
    if (content.length !== size) throw new Error(`${name} in the zip archive is damaged`);
    yield { name, content };
  }
}
