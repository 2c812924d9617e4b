/** Examples of values as short text. A masked example shows the form of a value and hides its content. */

import { BSON, readInt32 } from "../codec/bson.ts";
import { JsonWriter } from "../codec/json-writer.ts";
import { createTranscoder, type Transcoder } from "../codec/transcode.ts";

/** A longer example is cut and ends in `…`. */
const MAX_CHARACTERS = 48;
/** UTF-8 of this length has more than MAX_CHARACTERS. */
const MAX_TEXT_BYTES = (MAX_CHARACTERS + 1) * 4;

/** Turns values that hold no other values into examples. */
export class ExampleWriter {
  readonly #isMasked: boolean;
  readonly #transcoder: Transcoder = createTranscoder({ format: "plain" });
  readonly #writer = new JsonWriter(1024);
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(isMasked: boolean) {
    this.#isMasked = isMasked;
  }

  /** The example for the value of `type` at `at` … `end`; undefined if its type or length makes it meaningless. */
  textOf(bytes: Uint8Array, type: number, at: number, end: number): string | undefined {
    const text = this.#fullText(bytes, type, at, end);
    if (text === undefined) return undefined;
    const characters = Array.from(text.slice(0, 2 * (MAX_CHARACTERS + 1)));
    const cut = characters.length > MAX_CHARACTERS ? `${characters.slice(0, MAX_CHARACTERS).join("")}…` : text;
    return this.#isMasked && type !== BSON.boolean ? maskOf(cut) : cut;
  }

  #fullText(bytes: Uint8Array, type: number, at: number, end: number): string | undefined {
    switch (type) {
      case BSON.null:
      case BSON.undefined:
      case BSON.minKey:
      case BSON.maxKey:
        return undefined;
      case BSON.string:
      case BSON.symbol:
      case BSON.code:
        return this.#decoder.decode(bytes.subarray(at + 4, Math.min(end - 1, at + 4 + MAX_TEXT_BYTES)));
      case BSON.binary:
        if (readInt32(bytes, at) > MAX_TEXT_BYTES) return `${readInt32(bytes, at)} bytes`;
        break;
      default:
        if (end - at > MAX_TEXT_BYTES) return undefined;
    }
    this.#writer.reset();
    this.#transcoder.writeValue(this.#writer, bytes, type, at, end);
    return this.#decoder.decode(this.#writer.view()).replaceAll(/^"|"$/g, "");
  }
}

/** Replaces letters by `x` or `X` and digits by `9`; keeps all else, so that dates and addresses are recognizable. */
function maskOf(text: string): string {
  return text
    .replaceAll(/\p{N}/gu, "9")
    .replaceAll(/\p{Lu}/gu, "X")
    .replaceAll(/[\p{L}\p{M}]/gu, (letter) => (letter === "X" ? "X" : "x"));
}
