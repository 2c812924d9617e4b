/** Names of collections as names of streams, which clients simplify before they compare them. */

import { createHash } from "node:crypto";

import { type Namespace, nameOf } from "../source/record.ts";

/**
 * A name for each of `namespaces`, as `nameFor` has it. Where two would be the same table for a client that lowers case
 * and takes all but ASCII letters and digits for `_`, or where nothing would be left, a part of a digest is put behind:
 * the same one on every run.
 */
export function streamNames(
  namespaces: readonly Namespace[],
  nameFor: (namespace: Namespace) => string,
): ReadonlyMap<Namespace, string> {
  const counts = new Map<string, number>();
  for (const namespace of namespaces) {
    const table = tableOf(nameFor(namespace));
    counts.set(table, (counts.get(table) ?? 0) + 1);
  }
  return new Map(
    namespaces.map((namespace) => {
      const name = nameFor(namespace);
      const table = tableOf(name);
      const isClear = counts.get(table) === 1 && /[a-z0-9]/.test(table);
      return [namespace, isClear ? name : `${name}_${digestOf(nameOf(namespace))}`] as const;
    }),
  );
}

function tableOf(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "_");
}

function digestOf(name: string): string {
  return createHash("sha256").update(name).digest("hex").slice(0, 6);
}
