/** Tar archives whose bytes depend on their entries alone: sorted, one time, no names of users. */

import { buffer } from "node:stream/consumers";
import { constants, gzipSync } from "node:zlib";
import { pack } from "tar-stream";

interface Common {
  /** Without a slash at its beginning. */
  readonly path: string;
  /** Of user and group; default: root. */
  readonly owner?: number;
}

export type Entry = Common &
  (
    | { readonly type: "file"; readonly mode: number; readonly content: Uint8Array | string }
    | { readonly type: "directory"; readonly mode: number }
    | { readonly type: "symlink"; readonly target: string }
  );

/** Directories that the paths of `entries` need come before them, with mode 0755. */
export async function tar(entries: readonly Entry[], time: Date): Promise<Buffer> {
  const packed = pack();
  for (const entry of withDirectories(entries)) {
    const header = { uid: entry.owner ?? 0, gid: entry.owner ?? 0, mtime: time };
    if (entry.type === "file") {
      packed.entry({ ...header, name: entry.path, mode: entry.mode }, Buffer.from(entry.content));
    } else if (entry.type === "directory") {
      packed.entry({ ...header, name: `${entry.path}/`, mode: entry.mode, type: "directory" });
    } else {
      packed.entry({ ...header, name: entry.path, mode: 0o777, type: "symlink", linkname: entry.target });
    }
  }
  packed.finalize();
  return await buffer(packed);
}

/** With no time and no name in the header. */
export function gzip(bytes: Uint8Array): Buffer {
  return gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION });
}

function withDirectories(entries: readonly Entry[]): Entry[] {
  const byPath = new Map<string, Entry>(entries.map((entry) => [entry.path, entry]));
  if (byPath.size !== entries.length) throw new Error("two entries of an archive have one path");
  for (const { path } of entries) {
    const parts = path.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join("/");
      if (!byPath.has(parent)) byPath.set(parent, { type: "directory", path: parent, mode: 0o755 });
    }
  }
  return [...byPath.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
