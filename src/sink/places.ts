/** Where in a directory the file of each collection is: by its namespace, or by the target that it was given. */

import { join } from "node:path";
import { MongotapError } from "../errors.ts";
import { wholeOf } from "../lib/part-name.ts";
import { foldsCase } from "./directory.ts";
import { type FileNameOptions, fileNameOf, filePathOf, partitionPathOf } from "./file-names.ts";
import type { OutputMark } from "./sink.ts";

type Targets = ReadonlyMap<string, string>;

/**
 * Resolves to the path for each namespace in `directory`, which exists.
 * @throws MongotapError `config`, also the returned function, when two collections would share a file
 */
export async function outputPaths(
  directory: string,
  targets: Targets = new Map<string, string>(),
): Promise<(namespace: string) => string> {
  const options = { foldsCase: await foldsCase(directory) };
  const owners = new Map<string, string>();
  for (const namespace of targets.keys()) {
    const path = pathIn(namespace, targets, options);
    const owner = owners.get(path);
    if (owner !== undefined) throw shared(path, owner, namespace);
    owners.set(path, namespace);
  }
  return (namespace) => {
    const { name } = wholeOf(namespace);
    const path = pathIn(name, targets, options);
    const owner = owners.get(path);
    if (owner !== undefined && owner !== name) throw shared(path, owner, name);
    return join(directory, pathIn(namespace, targets, options));
  };
}

/**
 * Holds the `marks` of an earlier run against the targets of this one.
 * @throws MongotapError `state` when a collection would go on in another file than the one it began
 */
export function assertUnchanged(directory: string, marks: readonly OutputMark[], targets: Targets = new Map()): void {
  for (const { path, namespace = "" } of marks) {
    if (!targets.has(wholeOf(namespace).name)) continue;
    const [place = "", ...others] = [false, true].map((folds) =>
      join(directory, pathIn(namespace, targets, { foldsCase: folds })),
    );
    if ([place, ...others].includes(path)) continue;
    throw new MongotapError(
      "state",
      `${namespace} is in ${path}, and its target is now ${place}; nothing was written`,
      {
        hint: "Put the target back as it was, or start over with --fresh.",
      },
    );
  }
}

function pathIn(namespace: string, targets: Targets, options: FileNameOptions): string {
  const { name, part } = wholeOf(namespace);
  const target = targets.get(name);
  const path = target === undefined ? fileNameOf(name, options) : filePathOf(target, options);
  return part === undefined ? path : partitionPathOf(path, part);
}

function shared(path: string, owner: string, namespace: string): MongotapError {
  return new MongotapError("config", `${owner} and ${namespace} would both be written to ${path}`, {
    hint: "Give one of them another target.",
  });
}
