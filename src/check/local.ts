/** Checks of this machine: the state file, and the folder of the output. */

import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";

import { MongotapError } from "../errors.ts";
import { loadCheckpoint } from "../state/checkpoint.ts";
import { type Check, fail, type Finding, ok } from "./finding.ts";

export interface LocalPaths {
  readonly state: string | undefined;
  /** The file or folder of the output; undefined for standard output. */
  readonly output: string | undefined;
}

/** The checks of both paths, none for an undefined one. They write nothing. */
export function localChecks({ state, output }: LocalPaths): readonly Check[] {
  return [
    ...(state === undefined ? [] : [{ name: "state", run: () => checkState(state) }]),
    ...(output === undefined ? [] : [{ name: "output", run: () => checkFolder(output) }]),
  ];
}

async function checkState(path: string): Promise<Finding> {
  try {
    const saved = await loadCheckpoint(path, { readOnly: true });
    const folder = await checkFolder(path);
    if (folder.verdict !== "ok") return folder;
    return ok(
      saved ? `${path}: saved ${saved.seq} times by ${saved.fingerprint.command}` : `${path}: none yet, can be made`,
    );
  } catch (error) {
    if (error instanceof MongotapError) return fail(error.kind, error.message, error.hint);
    throw error;
  }
}

/** Checks that a file can be created at `path`, or inside it if it is a folder. */
async function checkFolder(path: string): Promise<Finding> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const folder = isFolder ? path : dirname(path);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return ok(`${folder} can be written to`);
  } catch {
    return fail(
      "output",
      `${folder} cannot be written to or does not exist`,
      `Make it, or choose another place: mkdir -p ${folder}`,
    );
  }
}
