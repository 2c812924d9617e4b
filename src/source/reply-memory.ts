/**
 * The memory of one server reply, and the documents in it. The pump (in a worker thread, the worker) releases it once the
 * documents are encoded; any later read throws a `bug` instead of seeing empty bytes.
 */

import { MongotapError } from "../errors.ts";
import { detach } from "../lib/detach.ts";
import type { BsonDocuments, EncodedDocuments, EncodedLines } from "./record.ts";

export class ReplyMemory {
  readonly #bytes: Uint8Array;
  readonly #isOwned: boolean;
  readonly #whole: ReplyMemory | undefined;
  #isReleased = false;

  /** `isOwned`: nothing else refers to the memory, so `release` frees it. `whole`: the memory that these bytes are part of. */
  constructor(bytes: Uint8Array, isOwned: boolean, whole?: ReplyMemory) {
    this.#bytes = bytes;
    this.#isOwned = isOwned;
    this.#whole = whole;
  }

  /** @throws MongotapError `bug` after `release`, of this memory or of the whole */
  get bytes(): Uint8Array {
    if (this.#isReleased) throw new MongotapError("bug", "reply memory was used after its release");
    return this.#whole === undefined ? this.#bytes : this.#whole.bytes;
  }

  /** Returns the same memory for one of several users; releasing it does not free the memory. */
  share(): ReplyMemory {
    return new ReplyMemory(this.bytes, false, this.#whole ?? this);
  }

  /** Frees the memory if it is owned. @throws MongotapError `bug` on the second call */
  release(): void {
    if (this.#isReleased) throw new MongotapError("bug", "reply memory was released twice");
    this.#isReleased = true;
    if (this.#isOwned) detach(this.#bytes);
  }
}

/** Documents in the memory of a reply. */
export class ReplyDocuments implements BsonDocuments {
  readonly kind = "bson";
  readonly count: number;
  readonly byteLength: number;
  readonly #memory: ReplyMemory;
  readonly #offsets: readonly number[];

  constructor(memory: ReplyMemory, offsets: readonly number[]) {
    this.#memory = memory;
    this.#offsets = offsets;
    this.count = offsets.length;
    this.byteLength = memory.bytes.length;
  }

  get bytes(): Uint8Array {
    return this.#memory.bytes;
  }

  get offsets(): readonly number[] {
    void this.#memory.bytes; // throws after the release
    return this.#offsets;
  }

  only(offsets: readonly number[]): BsonDocuments {
    return new ReplyDocuments(this.#memory, offsets);
  }

  part(begin: number, end?: number): BsonDocuments {
    return new ReplyDocuments(this.#memory.share(), this.#offsets.slice(begin, end));
  }

  release(): void {
    this.#memory.release();
  }
}

/** Documents that free other replies together with their own. */
export class DocumentsWithReplies implements BsonDocuments {
  readonly kind = "bson";
  readonly count: number;
  readonly byteLength: number;
  readonly #documents: BsonDocuments;
  readonly #replies: readonly BsonDocuments[];

  constructor(documents: BsonDocuments, replies: readonly BsonDocuments[]) {
    this.#documents = documents;
    this.#replies = replies;
    this.count = documents.count;
    this.byteLength = replies.reduce((sum, { byteLength }) => sum + byteLength, documents.byteLength);
  }

  get bytes(): Uint8Array {
    return this.#documents.bytes;
  }

  get offsets(): readonly number[] {
    return this.#documents.offsets;
  }

  only(offsets: readonly number[]): BsonDocuments {
    return new DocumentsWithReplies(this.#documents.only(offsets), this.#replies);
  }

  part(begin: number, end?: number): BsonDocuments {
    return this.#documents.part(begin, end);
  }

  release(): void {
    this.#documents.release();
    for (const reply of this.#replies) reply.release();
  }
}

/** Lines of a worker, in memory that the worker has transferred to this thread. */
export class WorkerDocuments implements EncodedDocuments {
  readonly kind = "encoded";
  readonly count: number;
  readonly byteLength: number;
  readonly segments: EncodedLines["segments"];
  readonly badDocuments: number;
  readonly invalidUtf8: number;
  readonly hiddenFields: EncodedLines["hiddenFields"];
  readonly idTypes: EncodedLines["idTypes"];
  readonly #memory: ReplyMemory;

  constructor(lines: EncodedLines) {
    this.count = lines.count;
    this.byteLength = lines.byteLength;
    this.segments = lines.segments;
    this.badDocuments = lines.badDocuments;
    this.invalidUtf8 = lines.invalidUtf8;
    this.hiddenFields = lines.hiddenFields;
    this.idTypes = lines.idTypes;
    this.#memory = new ReplyMemory(lines.lineBytes, true);
  }

  get lineBytes(): Uint8Array {
    return this.#memory.bytes;
  }

  release(): void {
    this.#memory.release();
  }
}
