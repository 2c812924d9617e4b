/** Publishes the packages of dist/npm, and placeholders for the platforms that are not there. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TARGETS } from "../build/targets.ts";
import { binaryFile, platformManifest, platformPackage, type Project } from "./manifests.ts";

export interface PublishOptions {
  readonly root: string;
  /** Names the registry. */
  readonly env: NodeJS.ProcessEnv;
  /** A folder for the placeholders. */
  readonly scratch: string;
}

/** The platform packages first, as for a release. Throws if a package is missing in dist/npm, or the registry refuses one. */
export function publishAll({ root, env, scratch }: PublishOptions): void {
  const project = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Project;
  const folders = TARGETS.map((target) => {
    const name = platformPackage(target);
    const folder = join(root, "dist/npm", name);
    if (existsSync(folder)) return folder;
    const placeholder = join(scratch, name);
    mkdirSync(placeholder, { recursive: true });
    writeFileSync(join(placeholder, "package.json"), JSON.stringify(platformManifest(project, target)));
    writeFileSync(join(placeholder, binaryFile(target)), "a placeholder\n", { mode: 0o755 });
    return placeholder;
  });
  for (const folder of [...folders, join(root, "dist/npm", project.name)]) {
    execFileSync("npm", ["publish", "--silent", "--access", "public", folder], {
      env,
      stdio: ["ignore", "ignore", "inherit"],
    });
  }
}
