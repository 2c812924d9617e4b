/** The options of a collection as JSON: Extended JSON v2, relaxed, because validators and pipelines can hold any value. */

import { BSON as DriverBson } from "mongodb";

import { JsonWriter } from "../codec/json-writer.ts";
import { createTranscoder } from "../codec/transcode.ts";
import type { CollectionInfo } from "./catalog.ts";

/** What `JSON.parse` makes of them. */
export function optionsJson({ options }: CollectionInfo): Readonly<Record<string, unknown>> {
  const writer = new JsonWriter(1024);
  createTranscoder({ format: "relaxed" }).writeDocument(writer, DriverBson.serialize(options), 0);
  return JSON.parse(new TextDecoder().decode(writer.view())) as Record<string, unknown>;
}
