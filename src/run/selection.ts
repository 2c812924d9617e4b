/** What a command reads: the namespaces that it was given, without what is excluded. */

import { MongotapError } from "../errors.ts";
import { parseBinding, withoutExcluded } from "../source/bindings.ts";
import type { Binding } from "../source/record.ts";
import type { Invocation } from "./invocation.ts";

/** @throws MongotapError `usage` for no namespace, for an exclusion that excludes nothing, and when nothing is left */
export function selectBindings({
  namespaces,
  settings,
}: Pick<Invocation, "namespaces"> & { readonly settings: Pick<Invocation["settings"], "exclude"> }): Binding[] {
  const bindings = namespaces.map(parseBinding);
  if (bindings.length === 0) return [];
  for (const text of settings.exclude) {
    const { db } = parseBinding(text);
    if (bindings.some((binding) => binding.db === db)) continue;
    throw new MongotapError("usage", `${text} is excluded, but nothing of the database ${db} is read`);
  }
  const left = withoutExcluded(bindings, settings.exclude.map(parseBinding));
  if (left.length === 0)
    throw new MongotapError("usage", "everything that is named is excluded: nothing is left to read");
  return left;
}
