/**
 * Bits for names with a leading `_`, with which the kernel says cheaply which names it may have written (wasm/kernel.ts has the
 * same function): a set bit means that it is worth looking.
 */

/** The bits of `names`, each of which begins with `_`. */
export function nameBits(names: readonly string[]): number {
  return names.reduce((bits, name) => bits | (1 << ((name.charCodeAt(1) * 2 + name.charCodeAt(2) * 5) & 31)), 0);
}

/** Every bit. */
export const ANY_NAME = -1;
