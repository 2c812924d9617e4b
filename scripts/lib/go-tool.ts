/** Programs in Go, built by `go install` at a pinned version into .cache, once. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const TOOLS = {
  /** Makes .deb and .rpm. Newer ones need modules that the proxy of some machines refuses. */
  nfpm: "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0",
  /** Checks workflows of GitHub Actions. */
  actionlint: "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
};

export type GoTool = keyof typeof TOOLS;

/**
 * The path of the program, which it builds if it is missing (this takes a minute).
 * @throws Error with one line if that fails
 */
export function goTool(name: GoTool): string {
  const module_ = TOOLS[name];
  const folder = join(import.meta.dirname, "../../.cache", `${name}-${module_.slice(module_.indexOf("@v") + 2)}`);
  const path = join(folder, process.platform === "win32" ? `${name}.exe` : name);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  console.log(`── building ${module_}`);
  try {
    // No C compiler: the same program on each machine.
    const env = { ...process.env, GOBIN: folder, GOFLAGS: "-trimpath", CGO_ENABLED: "0" };
    execFileSync("go", ["install", module_], { env, stdio: "pipe" });
  } catch (error) {
    const text = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    const reason = text.trim().split("\n").at(-1) ?? "";
    throw new Error(`${name} cannot be built (${reason}): it needs go, and its module proxy`, { cause: error });
  }
  return path;
}
