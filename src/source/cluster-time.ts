/** Cluster times (record.ts) from and to BSON timestamps, and the arithmetic on them. */

import { Timestamp } from "mongodb";

import { readUint32 } from "../codec/bson.ts";
import type { CommandReply } from "../connect/run-command.ts";
import { BEGINNING, type ClusterTime, clusterTime, incrementOf, secondsOf } from "./record.ts";

/** A BSON timestamp value at `at`: increment in the low four bytes, seconds in the high four. */
export function readClusterTime(bytes: Uint8Array, at: number): ClusterTime {
  return clusterTime(readUint32(bytes, at + 4), readUint32(bytes, at));
}

export function clusterTimeOf(timestamp: Timestamp): ClusterTime {
  return clusterTime(timestamp.t, timestamp.i);
}

/** The server's last operation at the time of a reply; undefined for standalone servers. */
export function operationTimeOf({ operationTime }: CommandReply): ClusterTime | undefined {
  return operationTime instanceof Timestamp ? clusterTimeOf(operationTime) : undefined;
}

export function timestampOf(time: ClusterTime): Timestamp {
  return new Timestamp({ t: secondsOf(time), i: incrementOf(time) });
}

/** The first cluster time of a second since 1970. */
export function firstTimeOf(seconds: number): ClusterTime {
  return clusterTime(seconds, 0);
}

export function later(a: ClusterTime, b: ClusterTime): ClusterTime {
  return a > b ? a : b;
}

/** The next time within the same second: where a stream that begins now begins. */
export function tickAfter(time: ClusterTime): ClusterTime {
  return clusterTime(secondsOf(time), incrementOf(time) + 1);
}

/** The time before it, or BEGINNING for BEGINNING. */
export function tickBefore(time: ClusterTime): ClusterTime {
  if (time === BEGINNING) return time;
  const increment = incrementOf(time);
  return increment > 0 ? clusterTime(secondsOf(time), increment - 1) : clusterTime(secondsOf(time) - 1, 0xffffffff);
}

/** To the second, as users read times: `2026-01-31T12:00:00Z`. */
export function isoOf(time: ClusterTime): string {
  return new Date(secondsOf(time) * 1000).toISOString().replace(".000Z", "Z");
}
