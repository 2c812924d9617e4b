/** The flags of `transcode`. src/codec/kernel.ts has the same bits, and a test compares them. */

export const CANONICAL: u32 = 1;
export const PLAIN: u32 = 2;
export const ARRAYS_AS_STRINGS: u32 = 4;
export const DOCUMENTS_AS_STRINGS: u32 = 8;
/** Gives up on an array whose elements differ in type; null fits every type. */
export const ONE_TYPE: u32 = 16;
/** No braces around the outermost document. */
export const BARE: u32 = 32;
/** The outermost value is an array. */
export const ARRAY: u32 = 64;
/** The outermost value is the value of a field: it can become a string. */
export const FIELD: u32 = 128;
