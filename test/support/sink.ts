/** What a sink of tests need not do. */

import type { OutputMark, Sink } from "../../src/sink/sink.ts";

/** A sink without marks: a subclass says what becomes of the bytes. */
export abstract class UnmarkedSink implements Sink {
  readonly mayBlock = true;
  abstract write(bytes: Uint8Array): Promise<void>;
  async written(): Promise<void> {}
  async flush(): Promise<readonly OutputMark[]> {
    return [];
  }
  async onStateSaved(): Promise<void> {}
  async finalize(): Promise<readonly OutputMark[]> {
    return [];
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}
