/** Values as short text for people. Masked, they show what values look like without showing them. */

import { BSON, readInt32 } from "../codec/bson.ts";
import { JsonWriter } from "../codec/json-writer.ts";
import { createTranscoder, type Transcoder } from "../codec/transcode.ts";

/** What is longer is cut, and ends in `…`. */
const MOST_CHARACTERS = 48;
/** So many bytes of UTF-8 hold at least MOST_CHARACTERS and one more. */
const ENOUGH_BYTES = (MOST_CHARACTERS + 1) * 4;

/** Writes examples of values that hold no other values. */
export class ExampleWriter {
  readonly #isMasked: boolean;
  readonly #transcoder: Transcoder = createTranscoder({ format: "plain" });
  readonly #writer = new JsonWriter(1024);
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(isMasked: boolean) {
    this.#isMasked = isMasked;
  }

  /** The value of `type` at `at` … `end`; undefined for types whose values say nothing. */
  textOf(bytes: Uint8Array, type: number, at: number, end: number): string | undefined {
    const text = this.#whole(bytes, type, at, end);
    if (text === undefined) return undefined;
    const characters = Array.from(text.slice(0, 2 * (MOST_CHARACTERS + 1)));
    const cut = characters.length > MOST_CHARACTERS ? `${characters.slice(0, MOST_CHARACTERS).join("")}…` : text;
    return this.#isMasked && type !== BSON.boolean ? maskOf(cut) : cut;
  }

  #whole(bytes: Uint8Array, type: number, at: number, end: number): string | undefined {
    switch (type) {
      case BSON.null:
      case BSON.undefined:
      case BSON.minKey:
      case BSON.maxKey:
        return undefined;
      case BSON.string:
      case BSON.symbol:
      case BSON.code:
        return this.#decoder.decode(bytes.subarray(at + 4, Math.min(end - 1, at + 4 + ENOUGH_BYTES)));
      case BSON.binary:
        if (readInt32(bytes, at) > ENOUGH_BYTES) return `${readInt32(bytes, at)} bytes`;
        break;
      default:
        if (end - at > ENOUGH_BYTES) return undefined;
    }
    this.#writer.reset();
    this.#transcoder.writeValue(this.#writer, bytes, type, at, end);
    return this.#decoder.decode(this.#writer.view()).replaceAll(/^"|"$/g, "");
  }
}

/** Letters become `x` or `X`, digits `9`; all else stays, so that the form of dates, numbers and addresses is seen. */
function maskOf(text: string): string {
  return text
    .replaceAll(/\p{N}/gu, "9")
    .replaceAll(/\p{Lu}/gu, "X")
    .replaceAll(/[\p{L}\p{M}]/gu, (letter) => (letter === "X" ? "X" : "x"));
}
