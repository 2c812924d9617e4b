/** What the documents of the soak hold: the key and the number of the write decide all of it, so that any line can be proved. */

export interface Numbered {
  readonly _id: string;
  /** The number of the write that made this version: no two writes have the same. */
  readonly v: number;
}

const TEXTS = ["plain", "ü – 高橋 🎁", 'quotes " and \\ and\nlines', "", "x".repeat(90)];
/** So large that the server logs an update as a difference, and sends it without the document. */
const PADDING = "p".repeat(600);

/** The document with the key `key` as the write number `v` leaves it. */
export function contentOf(key: string, v: number): Numbered {
  const document = {
    _id: key,
    v,
    text: TEXTS[v % TEXTS.length],
    list: Array.from({ length: (v * 7) % 6 }, (_, i) => (i === 2 ? v : i)),
    nested: { a: v % 3, deep: { left: v % 2 === 0 ? [v] : "none" }, ...(v % 4 === 0 ? { last: v } : {}) },
    padding: PADDING + key,
  };
  return document;
}

export function textOf(key: string, v: number): string {
  return JSON.stringify(contentOf(key, v));
}
