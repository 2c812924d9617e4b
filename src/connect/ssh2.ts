/** ssh2 takes a while to load, and hardly any run needs it: it is loaded by the first who asks. */

import type ssh2 from "ssh2";

export async function loadSsh2(): Promise<typeof ssh2> {
  return (await import("ssh2")).default;
}
