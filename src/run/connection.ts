/** Connects to the server of a run, directly or through an ssh tunnel. */

import type { Settings } from "../config/options.ts";
import { connect, type Connection } from "../connect/client.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import type { Tunnel } from "../connect/tunnel.ts";
import type { Invocation } from "./invocation.ts";

export type ConnectionSettings = Pick<Settings, "server" | "tunnel">;

/** Connects to the server at `uri`. Disposing closes the tunnel, if there is one, after the connection. */
export async function openConnection(
  invocation: Invocation<ConnectionSettings>,
  uri: ConnectionString,
): Promise<Connection> {
  const { signal } = invocation.context;
  const tunnel = await openTunnelOf(invocation);
  if (tunnel === undefined) return connect(uri, "mongotap", signal);
  try {
    const connection = await connect(uri, "mongotap", signal, tunnel);
    return {
      ...connection,
      async [Symbol.asyncDispose]() {
        await connection[Symbol.asyncDispose]();
        await tunnel[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await tunnel[Symbol.asyncDispose]();
    throw error;
  }
}

/** Opens the tunnel of the settings; resolves to undefined if there is none. */
export async function openTunnelOf({
  settings,
  log,
  context,
}: Invocation<ConnectionSettings>): Promise<Tunnel | undefined> {
  if (settings.tunnel === undefined) return undefined;
  const { openTunnel } = await import("../connect/tunnel.ts");
  const onWarning = (message: string): void => log.warn(message);
  const tunnel = await openTunnel({ ...settings.tunnel, signal: context.signal, onWarning });
  log.hide([tunnel.proxyOptions.proxyPassword]);
  log.debug(`${tunnel.shown} has the host key ${tunnel.hostKey}`);
  return tunnel;
}
