/** Parses the private key for an SSH server, before anything is sent. */

import type { ParsedKey } from "ssh2";

import { MongotapError } from "../errors.ts";
import { loadSsh2 } from "./ssh-session.ts";

export interface PrivateKey {
  readonly text: string;
  /** The setting that names it, such as `--ssh-key id_ed25519`; for messages. */
  readonly from: string;
}

const CONVERT = "Convert it: ssh-keygen -p -f FILE writes the format of OpenSSH.";

/**
 * Parses and decrypts a key. Call it once for each key: decryption is slow by design.
 * @throws MongotapError `config` if it is not a private key or its passphrase is missing or wrong; `unsupported` for a key
 *   that is in a security token
 */
export async function usableKey({ text, from }: PrivateKey, passphrase: string | undefined): Promise<ParsedKey> {
  const key = `${text.replaceAll(/\r\n?/g, "\n").trim()}\n`; // pasted keys may lack the last newline, or have CRLF
  const { utils } = await loadSsh2();
  const parsed = utils.parseKey(key, passphrase);
  if (parsed instanceof Error) throw unusableKey(parsed, from, passphrase !== undefined);
  if (parsed.isPrivateKey()) return parsed;
  throw new MongotapError("config", `${from} is a public key, not a private one`, {
    hint: "The private key is in the file of the same name without .pub.",
  });
}

function unusableKey({ message }: Error, from: string, hasPassphrase: boolean): MongotapError {
  if (/no passphrase given/i.test(message)) {
    return new MongotapError("config", `${from} is encrypted, and there is no passphrase`, {
      hint: "Set MONGOTAP_SSH_PASSPHRASE, or use an agent (ssh-add) and leave the key out.",
    });
  }
  if (hasPassphrase && /passphrase|bad decrypt|unable to authenticate|malformed|final block/i.test(message)) {
    return new MongotapError("config", `${from}: the passphrase is wrong`, { hint: "Check MONGOTAP_SSH_PASSPHRASE." });
  }
  const [, token] = /type: (sk-\S+)/.exec(message) ?? [];
  if (token !== undefined) {
    return new MongotapError("unsupported", `${from} is a key of a security token (${token})`, {
      hint: "Use an ed25519, ECDSA or RSA key.",
    });
  }
  return new MongotapError("config", `${from} is not a private key that can be used: ${message}`, { hint: CONVERT });
}
