/** Free ports on loopback. */
import { createServer } from "node:net";

// Below the range from which the kernel takes ports for outgoing connections (32768 up): no client takes the
// port of a server that restarts.
const FIRST = 20_000;
const LAST = 32_000;
const handedOut = new Set<number>();

/** Resolves with a port that was free a moment ago, never the same one twice. */
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
