/** The private key with which we log in to an ssh server: whether it can be used is known before anything is sent. */

import type { ParsedKey } from "ssh2";

import { MongotapError } from "../errors.ts";
import { loadSsh2 } from "./ssh-session.ts";

export interface PrivateKey {
  readonly text: string;
  /** Who gave it: `--ssh-key id_ed25519`. */
  readonly from: string;
}

const CONVERT = "Convert it: ssh-keygen -p -f FILE writes the format of OpenSSH.";

/**
 * Reads and decrypts a key; once, because decrypting is slow on purpose.
 * @throws MongotapError `config` when it is no private key or its passphrase is missing or wrong; `unsupported` for a
 *   key that stays in a security token
 */
export async function usableKey({ text, from }: PrivateKey, passphrase: string | undefined): Promise<ParsedKey> {
  const key = `${text.replaceAll(/\r\n?/g, "\n").trim()}\n`; // pasted keys have lost their last line end, or have others
  const { utils } = await loadSsh2();
  const parsed = utils.parseKey(key, passphrase);
  if (parsed instanceof Error) throw whyNot(parsed, from, passphrase !== undefined);
  if (parsed.isPrivateKey()) return parsed;
  throw new MongotapError("config", `${from} is a public key, not a private one`, {
    hint: "The private key is in the file of the same name without .pub.",
  });
}

function whyNot({ message }: Error, from: string, hasPassphrase: boolean): MongotapError {
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
