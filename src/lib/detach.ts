/** Frees large buffers at once instead of leaving them to the garbage collector. */

/** Smaller buffers are not worth detaching, and they may be slices of a pool. */
const MIN_DETACHABLE_BYTES = 64 * 1024;

/**
 * Detaches the ArrayBuffer behind `bytes`, which frees it; every view of it has length 0 afterwards. The caller must hold
 * the only reference. Does nothing where `bytes` has less than 64 KiB or leaves 64 KiB or more of its ArrayBuffer to others.
 * Server replies of some MB live for some ms: the garbage collector would let hundreds of MB of them pile up.
 */
export function detach(bytes: Uint8Array): void {
  const { buffer } = bytes;
  const isAlone = bytes.length >= MIN_DETACHABLE_BYTES && buffer.byteLength - bytes.length < MIN_DETACHABLE_BYTES;
  if (isAlone && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
