/** Text lines of a stream of bytes. */

/** Yields each line without its newline, the last one also if it has none. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: string[] = []; // of a line that goes on in the next chunk
  for await (const chunk of chunks) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    const last = lines.pop() ?? "";
    for (const line of lines) {
      yield parts.join("") + line;
      parts = [];
    }
    parts.push(last);
  }
  const rest = parts.join("") + decoder.decode();
  if (rest !== "") yield rest;
}
