/** The output of a process so far, as bytes, text and lines, for any number of readers. */
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

export class Output {
  readonly #chunks: Buffer[] = [];
  readonly #decoder = new StringDecoder("utf8");
  readonly #lines: string[] = [];
  #rest = "";
  #hasEnded = false;
  #waiting: (() => void)[] = [];

  /** Begins to read `stream`, until it ends or is destroyed. */
  readFrom(stream: Readable): void {
    stream.on("data", (chunk: Buffer) => this.#add(chunk));
    stream.once("close", () => this.end());
    // A read error (the reader's end was closed on purpose) is an end like any other.
    stream.once("error", () => this.end());
  }

  /** Marks the end of the output. Safe to call twice. */
  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString("utf8");
  }

  /** All lines, without their newline, waiting for those to come; also a last one that has no newline. */
  async *lines(): AsyncGenerator<string, void, undefined> {
    for (let index = 0; ; index += 1) {
      while (index >= this.#lines.length && !this.#hasEnded) await this.#change();
      const line = this.#lines[index];
      if (line === undefined) {
        if (this.#rest !== "") yield this.#rest;
        return;
      }
      yield line;
    }
  }

  /** The first line that fits, or `undefined` when the output ended without one. */
  async findLine(fits: (line: string) => boolean): Promise<string | undefined> {
    for await (const line of this.lines()) if (fits(line)) return line;
    return undefined;
  }

  #add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    const parts = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) this.#lines.push(part);
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
