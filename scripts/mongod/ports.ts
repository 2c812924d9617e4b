/** Free ports on loopback. */
import { createServer } from "node:net";

// Below the range from which the kernel takes ports for outgoing connections (32768 up): a port that a server gives up
// for its restart must not be taken by a client meanwhile.
const FIRST = 20_000;
const LAST = 32_000;
const handedOut = new Set<number>();

/** Resolves with a port that nobody listened on a moment ago, never the same one twice. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (handedOut.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    return port;
  }
}

/** Whether a server on loopback could listen on `port` now. */
async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1" }, () => server.close(() => resolve(true)));
  });
}
