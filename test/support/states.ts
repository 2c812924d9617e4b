/** Values of a state file for tests that make one by hand. */
import { type ClusterTime, isClusterTime } from "../../src/source/record.ts";
import type { Fingerprint } from "../../src/state/checkpoint.ts";

/** `text`, 16 hex digits, as a cluster time. */
export function timeFrom(text: string): ClusterTime {
  if (!isClusterTime(text)) throw new Error(`${text} is not a cluster time`);
  return text;
}

/** Of `mongotap capture shop.orders --out /data/out` without other options. */
export const FINGERPRINT: Fingerprint = {
  command: "capture",
  namespaces: [{ db: "shop", collection: "orders" }],
  format: "relaxed",
  arrays: "as they are",
  documents: "objects",
  fullDocument: "exact",
  before: "auto",
  envelope: "meta",
  out: "/data/out",
  split: false,
};
