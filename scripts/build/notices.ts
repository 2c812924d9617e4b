/** The notices of the software that a binary contains: what `mongotap --licenses` prints, made from the bill of materials. */

import { type Bill, type Component, idsOf, licenseOf, textOfLicense, textsOf, titleOf } from "./bill.ts";

const RULE = "=".repeat(80);

/** How the LGPL's demand is met: a user can replace the library. */
const RELINKING = `Bun links JavaScriptCore and tinycc, which are under the LGPL. Their sources are at the addresses above. To use
changed ones, build Bun with them as its LICENSE.md describes, then build mongotap from its own sources with that
Bun: scripts/build.ts.`;

export function noticesOf(bill: Bill): string {
  const packages = bill.components.filter(({ type }) => type !== "platform");
  const runtimes = bill.components.filter(({ type }) => type === "platform");
  return [
    `${titleOf(bill.metadata.component)} contains the packages and the runtime that are listed here, under these licenses.`,
    list(packages),
    ...runtimes.map(
      (runtime) =>
        `The runtime is ${titleOf(runtime)} (${licenseOf(runtime)}). It consists of:\n\n${list(runtime.components ?? [])}`,
    ),
    RELINKING,
    ...textsOfPackages(packages),
    ...textsOfRuntime(runtimes),
    "",
  ].join("\n\n");
}

function list(components: readonly Component[]): string {
  const rows = components.map((one) => [titleOf(one), licenseOf(one) ?? "", addressOf(one)] as const);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(([title, license, url]) =>
      `  ${title.padEnd(widths[0] ?? 0)}  ${license.padEnd(widths[1] ?? 0)}  ${url}`.trimEnd(),
    )
    .join("\n");
}

function addressOf({ externalReferences = [] }: Component): string {
  return externalReferences.find(({ type }) => type === "website")?.url ?? "";
}

/** Each text once, under the names of all packages that have it. */
function textsOfPackages(packages: readonly Component[]): string[] {
  const all = packages.map(
    (one) =>
      [
        titleOf(one),
        textsOf(one)
          .map((text) => text.trim())
          .join("\n\n"),
      ] as const,
  );
  return [...Map.groupBy(all, ([, text]) => text)].map(
    ([text, rows]) => `${RULE}\n${rows.map(([title]) => title).join(", ")}\n${RULE}\n\n${text}`,
  );
}

/** The parts of the runtime have no texts with them: the general text of each of their licenses. */
function textsOfRuntime(runtimes: readonly Component[]): string[] {
  const all = runtimes.flatMap((runtime) => [runtime, ...(runtime.components ?? [])]);
  const ids = all.flatMap((part) => idsOf(licenseOf(part) ?? "") ?? []);
  return [...new Set(ids)].toSorted().map((id) => {
    const those = all.filter((part) => idsOf(licenseOf(part) ?? "")?.includes(id));
    return `${RULE}\n${id}: ${those.map(titleOf).join(", ")}\n${RULE}\n\n${textOfLicense(id).trim()}`;
  });
}
