/** Cluster times: BSON timestamps as 16 hex digits (record.ts), and back. */

import { Timestamp } from "mongodb";

import { readUint32 } from "../codec/bson.ts";
import type { ClusterTime } from "./record.ts";

/** Before every real time. */
export const BEGINNING: ClusterTime = "0".repeat(16);

/** A BSON timestamp value: increment in the low four bytes, seconds in the high four. */
export function readClusterTime(bytes: Uint8Array, at: number): ClusterTime {
  return hex32(readUint32(bytes, at + 4)) + hex32(readUint32(bytes, at));
}

export function clusterTimeOf(timestamp: Timestamp): ClusterTime {
  return hex32(timestamp.t) + hex32(timestamp.i);
}

export function timestampOf(time: ClusterTime): Timestamp {
  return new Timestamp({ t: Number.parseInt(time.slice(0, 8), 16), i: Number.parseInt(time.slice(8), 16) });
}

/** The first cluster time of a second since 1970. */
export function firstTimeOf(seconds: number): ClusterTime {
  return hex32(seconds) + hex32(0);
}

/** The next time within the same second: where a stream that begins now begins. */
export function tickAfter(time: ClusterTime): ClusterTime {
  return time.slice(0, 8) + hex32(Number.parseInt(time.slice(8), 16) + 1);
}

export function later(a: ClusterTime, b: ClusterTime): ClusterTime {
  return a > b ? a : b;
}

/** The time before it. */
export function tickBefore(time: ClusterTime): ClusterTime {
  const before = (BigInt(`0x${time}`) - 1n).toString(16);
  return time === BEGINNING ? time : before.padStart(16, "0");
}

/** Seconds since 1970. */
function secondsOf(time: ClusterTime): number {
  return Number.parseInt(time.slice(0, 8), 16);
}

/** To the second, as users read times: `2026-01-31T12:00:00Z`. */
export function isoOf(time: ClusterTime): string {
  return new Date(secondsOf(time) * 1000).toISOString().replace(".000Z", "Z");
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
