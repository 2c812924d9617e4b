/** The names of the contestants in tables; goals find rows by them. */

export const BY_ID = "bare drain, by _id";
export const NATURAL = "bare drain, natural order";
export const MONGOTAP = "mongotap";
export const TO_PIPE = "mongotap, to a pipe";
export const FROM_SOURCE = "mongotap, bun src/main.ts";
export const DRIVER = "driver + EJSON.stringify";
export const DUMP = "mongodump";
export const EXPORT = "mongoexport";
export const DEBEZIUM = "Debezium embedded, once started";
export const STREAM = "bare drain of the change stream";
export const STREAM_WITH_LOOKUP = "the same, with updateLookup";
export const CAPTURE = "mongotap capture";
export const AIRBYTE = "mongotap airbyte read";
export const AIRBYTE_DATA = "the same, with columns: data";
export const BACKFILL = "mongotap backfill";
