/** Why a system call failed, in words. */

/** The system's code (`ENOSPC`) of anything thrown, or an empty string. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return typeof code === "string" ? code : "";
}

/** `ENOSPC: no space left on device, write` → `no space left on device`. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split("\n", 1)[0] ?? "").replace(/^E[A-Z0-9]+: /, "").replace(/, [a-z]+( '.*)?$/, "");
}
