/** The streams that a platform wants, and the collections behind them. */

import type { Connection } from "../connect/client.ts";
import { MongotapError } from "../errors.ts";
import type { Logger } from "../observe/log.ts";
import { parseBinding, withoutExcluded } from "../source/bindings.ts";
import { type CollectionInfo, resolveBindings } from "../source/catalog.ts";
import { nameOf, type Namespace } from "../source/record.ts";
import { checkServer } from "../source/stream-command.ts";

export interface Wanted {
  readonly namespace: Namespace;
  /** Its changes are to be read. A view and a time series have none. */
  readonly wantsChanges: boolean;
}

export interface Found {
  /** `db.collection` */
  readonly name: string;
  /** Undefined where the collection does not exist. */
  readonly info: CollectionInfo | undefined;
  /** Its changes are read; else it is copied as a whole. */
  readonly hasChanges: boolean;
}

/** The names of those that the config excludes. */
export function excludedAmong(
  wanted: readonly Pick<Wanted, "namespace">[],
  exclude: readonly string[],
): readonly string[] {
  const excluded = exclude.map(parseBinding);
  return wanted
    .filter(({ namespace }) => withoutExcluded([namespace], excluded).length === 0)
    .map(({ namespace }) => nameOf(namespace));
}

/**
 * Returns `wanted`, the selected streams of the catalog that `what` names.
 * @throws MongotapError `config` for those that the config excludes as well: one of the two is a mistake
 */
export function notExcluded<W extends Wanted>(
  wanted: readonly W[],
  exclude: readonly string[],
  what: string,
): readonly W[] {
  const names = excludedAmong(wanted, exclude);
  if (names.length === 0) return wanted;
  const problems = names.map((name) => `${name} is selected, and the config excludes it`);
  throw new MongotapError("config", `${what}: ${problems.join("; ")}`, {
    hint: "Discover the streams again, or correct exclude.",
  });
}

/**
 * Finds the collections of the streams, and warns of those that do not exist.
 * @throws MongotapError `unsupported` where changes of a collection are wanted and the server has none
 */
export async function findWanted<W extends Wanted>(
  { client, server }: Connection,
  wanted: readonly W[],
  log: Logger,
): Promise<(W & Found)[]> {
  const found = await resolveBindings(
    client,
    wanted.map(({ namespace }) => namespace),
    () => true,
  );
  const infos = new Map(found.map((info) => [nameOf(info.namespace), info]));
  return wanted.map((stream) => {
    const name = nameOf(stream.namespace);
    const info = infos.get(name);
    if (info === undefined) log.warn(`${name} does not exist: it has no documents to copy`);
    const isCollection = info === undefined || info.type === "collection";
    const hasChanges = stream.wantsChanges && isCollection;
    // A copy without changes would be taken for one with them.
    if (hasChanges) checkServer(server);
    return { ...stream, name, info, hasChanges };
  });
}

/** Warns of a stream that has no changes, although they are wanted. */
export function warnOfCopies({ name, wantsChanges, hasChanges }: Wanted & Found, log: Logger): void {
  if (wantsChanges && !hasChanges) log.warn(`${name} has no changes to read: it is copied as a whole with each run`);
}
