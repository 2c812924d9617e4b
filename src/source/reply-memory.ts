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
  /** How many have yet to release it: this one, and those that `split` has made. */
  readonly #users: { count: number };
  #isReleased = false;

  /** `isOwned`: nothing else refers to the memory, so `release` frees it. */
  constructor(bytes: Uint8Array, isOwned: boolean, users = { count: 1 }) {
    this.#bytes = bytes;
    this.#isOwned = isOwned;
    this.#users = users;
  }

  /** @throws MongotapError `bug` after `release` or `split` */
  get bytes(): Uint8Array {
    if (this.#isReleased) throw new MongotapError("bug", "reply memory was used after its release");
    return this.#bytes;
  }

  /** Returns the same memory for two users, which replace this one: it is freed when both have released it. */
  split(): readonly [ReplyMemory, ReplyMemory] {
    const { bytes } = this;
    this.#isReleased = true;
    this.#users.count += 1;
    return [new ReplyMemory(bytes, this.#isOwned, this.#users), new ReplyMemory(bytes, this.#isOwned, this.#users)];
  }

  /** Frees the memory if it is owned and has no other user. @throws MongotapError `bug` on the second call */
  release(): void {
    if (this.#isReleased) throw new MongotapError("bug", "reply memory was released twice");
    this.#isReleased = true;
    this.#users.count -= 1;
    if (this.#isOwned && this.#users.count === 0) detach(this.#bytes);
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

  split(count: number): readonly [BsonDocuments, BsonDocuments] {
    const [head, rest] = this.#memory.split();
    const offsets = this.#offsets;
    return [new ReplyDocuments(head, offsets.slice(0, count)), new ReplyDocuments(rest, offsets.slice(count))];
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

  split(count: number): readonly [BsonDocuments, BsonDocuments] {
    const [head, rest] = this.#documents.split(count);
    const replies = this.#replies.map((reply) => reply.split(reply.count));
    return [
      new DocumentsWithReplies(
        head,
        replies.map(([own]) => own),
      ),
      new DocumentsWithReplies(
        rest,
        replies.map(([, own]) => own),
      ),
    ];
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
