/** Memory that is given back at once, instead of when the collector comes to it. */

/** Less is not worth it, and small buffers are slices of a pool that others have slices of as well. */
const LEAST = 64 * 1024;

/**
 * Frees the memory behind `bytes`, to which nothing else may refer: every view of it is empty from then on. A reply of
 * the server is some MB that live for some ms: the collector would let hundreds of MB of them pile up.
 */
export function detach(bytes: Uint8Array): void {
  const { buffer } = bytes;
  const isAlone = bytes.length >= LEAST && buffer.byteLength - bytes.length < LEAST;
  if (isAlone && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
