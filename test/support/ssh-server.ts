/** A real ssh server in this process, with one authorized key and port forwarding. */
import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import ssh2, { type Connection, type ServerChannel } from "ssh2";

const { Server, utils } = ssh2;

export interface SshServerOptions {
  readonly hostKey?: KeyPair;
  /** Who is let in; default: the holder of CLIENT_KEY. */
  readonly clientKey?: KeyPair;
  /** Where a name leads that only the ssh server knows: `db.internal:27017` to a port on 127.0.0.1. */
  readonly names?: Readonly<Record<string, number>>;
  /** As `AllowTcpForwarding no`. */
  readonly forwards?: boolean;
}

export interface SshServer extends AsyncDisposable {
  readonly port: number;
  /** `ssh://tap@127.0.0.1:port`. */
  readonly url: string;
  /** A line for a known_hosts file. */
  readonly knownHost: string;
  /** `host:port` of every request, as it was asked for. */
  readonly forwarded: readonly string[];
  /** The authentication methods that clients tried. */
  readonly logins: readonly string[];
  /** Number of successful logins. */
  readonly sessions: number;
  /** Channels that are open. */
  readonly channels: number;
  /** Ends every connection at once, as a killed sshd does. */
  drop(): void;
}

export interface KeyPair {
  readonly private: string;
  readonly public: string;
}

/** Generates a key. About one ed25519 key in 250 of ssh2 is malformed, for itself and for OpenSSH: then another one. */
export function newKey(type: "ed25519" | "rsa" | "ecdsa"): KeyPair {
  for (;;) {
    const key =
      type === "ed25519"
        ? utils.generateKeyPairSync(type)
        : utils.generateKeyPairSync(type, { bits: type === "rsa" ? 2048 : 256 });
    if (!(utils.parseKey(key.private) instanceof Error)) return key;
  }
}

/** `type base64` of a public key. */
export function publicPart(key: KeyPair): string {
  return key.public.split(" ").slice(0, 2).join(" ");
}

/** The key that is authorized by default. */
export const CLIENT_KEY: KeyPair = newKey("ed25519");
const HOST_KEY: KeyPair = newKey("ed25519");

export async function startSshServer(options: SshServerOptions = {}): Promise<SshServer> {
  const { hostKey = HOST_KEY, clientKey = CLIENT_KEY, names = {}, forwards = true } = options;
  const clients = new Set<Connection>();
  const forwarded: string[] = [];
  const logins: string[] = [];
  let sessions = 0;
  let channels = 0;
  const track = (channel: ServerChannel): void => {
    channels += 1;
    channel.once("close", () => (channels -= 1));
  };
  const server = new Server({ hostKeys: [hostKey.private] }, (client) => {
    clients.add(client);
    client.on("error", () => undefined);
    client.on("close", () => clients.delete(client));
    client.on("authentication", (login) => {
      logins.push(login.method);
      const isKnown =
        login.method === "publickey" && login.key.data.toString("base64") === clientKey.public.split(" ")[1];
      if (isKnown) login.accept();
      else login.reject(["publickey"]);
    });
    client.on("ready", () => (sessions += 1));
    if (!forwards) return;
    client.on("tcpip", (accept, reject, { destIP, destPort }) => {
      const place = `${destIP}:${destPort}`;
      forwarded.push(place);
      const socket = connect({ host: "127.0.0.1", port: names[place] ?? destPort });
      socket.once("error", () => reject());
      socket.once("connect", () => {
        const channel = accept();
        track(channel);
        channel.on("error", () => socket.destroy());
        channel.once("close", () => socket.destroy());
        socket.once("close", () => channel.end());
        socket.pipe(channel).pipe(socket);
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const drop = (): void => {
    for (const client of clients) (client as unknown as { _sock: { destroy(): void } })._sock.destroy();
  };
  return {
    port,
    url: `ssh://tap@127.0.0.1:${port}`,
    knownHost: `[127.0.0.1]:${port} ${publicPart(hostKey)}\n`,
    forwarded,
    logins,
    get sessions() {
      return sessions;
    },
    get channels() {
      return channels;
    },
    drop,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      drop();
      await closed;
    },
  };
}
