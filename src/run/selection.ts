/** The namespaces that a command reads: those that it was given, without the excluded ones. */

import type { Settings } from "../config/options.ts";
import { MongotapError } from "../errors.ts";
import { parseBinding, withoutExcluded } from "../source/bindings.ts";
import type { Binding } from "../source/record.ts";
import type { Invocation } from "./invocation.ts";

export type SelectionSettings = Pick<Settings, "exclude">;

/**
 * None for no namespaces.
 * @throws MongotapError `usage` for an invalid namespace, for an exclusion of a database that is not read, and if everything
 *   is excluded
 */
export function selectBindings({
  namespaces,
  settings,
}: Pick<Invocation<SelectionSettings>, "namespaces" | "settings">): Binding[] {
  const bindings = namespaces.map(parseBinding);
  if (bindings.length === 0) return [];
  for (const text of settings.exclude) {
    const { db } = parseBinding(text);
    if (bindings.some((binding) => binding.db === db)) continue;
    throw new MongotapError("usage", `${text} is excluded, but nothing of the database ${db} is read`, {
      hint: "Exclude collections as database.collection.",
    });
  }
  const left = withoutExcluded(bindings, settings.exclude.map(parseBinding));
  if (left.length === 0)
    throw new MongotapError("usage", "everything that is named is excluded: nothing is left to read");
  return left;
}
