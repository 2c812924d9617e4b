/**
 * The bill of materials (CycloneDX) of a binary: the packages that were bundled, as the bundler lists them, and the runtime
 * with its parts. It also holds the licenses, and refuses those that nobody has looked at.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import parseSpdx from "spdx-expression-parse";
import licenseTexts from "spdx-license-list/full.js";
import { REVIEWED_VERSION, RUNTIME, RUNTIME_PARTS, type RuntimePart } from "./runtime-parts.ts";

/** Of CycloneDX 1.6, what is read here. */
export interface Component {
  readonly type: string;
  readonly group?: string;
  readonly name: string;
  readonly version?: string;
  readonly "bom-ref"?: string;
  readonly purl?: string;
  readonly licenses?: readonly License[];
  /** The files with license texts that were found in the package. */
  readonly evidence?: { readonly licenses: readonly { readonly license: { readonly text?: Attachment } }[] };
  readonly externalReferences?: readonly { readonly type: string; readonly url: string }[];
  readonly components?: readonly Component[];
}

type License = { readonly license: { readonly id?: string; readonly name?: string } } | { readonly expression: string };

interface Attachment {
  readonly content: string;
  readonly encoding?: string;
}

export interface Bill {
  readonly bomFormat: "CycloneDX";
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}

/** Licenses of packages that a binary may contain. */
const FOR_PACKAGES = ["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "Unlicense"];

/** Those that the runtime adds. The LGPL is met by the relinking that the notices describe. */
const FOR_RUNTIME = [
  ...FOR_PACKAGES,
  "LGPL-2.0-or-later",
  "LGPL-2.1-only",
  "OpenSSL",
  "Zlib",
  "ICU",
  "Unicode-3.0",
  "IJG",
];

/**
 * The bill of the bundle that `metafile` describes, without times and random numbers.
 * @throws Error if a license is unknown, its text is missing, or the runtime is not the reviewed one
 */
export function billOfMaterials(root: string, metafile: Bun.BuildMetafile, runtimeVersion: string): Bill {
  const found = withRuntime(billOfPackages(root, metafile), runtimeVersion);
  const problems = found.components.flatMap(problemsOf);
  if (runtimeVersion !== REVIEWED_VERSION) {
    problems.push(
      `Bun ${runtimeVersion}: scripts/build/runtime-parts.ts lists what Bun ${REVIEWED_VERSION} consists of`,
    );
  }
  if (problems.length > 0) throw new Error(`licenses:\n  ${problems.join("\n  ")}`);
  return found;
}

function billOfPackages(root: string, metafile: Bun.BuildMetafile): Bill {
  const folder = mkdtempSync(join(tmpdir(), "mongotap-bill-"));
  const [input, output] = [join(folder, "metafile.json"), join(folder, "bom.json")];
  try {
    writeFileSync(input, JSON.stringify(metafile));
    const library = import.meta.resolve("@cyclonedx/cyclonedx-esbuild");
    const tool = fileURLToPath(new URL("../bin/cyclonedx-esbuild-cli.js", library));
    const flags = ["--gather-license-texts", "--output-reproducible", "--no-validate"];
    execFileSync(process.execPath, [tool, ...flags, "--bwd", root, "-o", output, input], { cwd: root, stdio: "pipe" });
    return JSON.parse(readFileSync(output, "utf8")) as Bill;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function withRuntime(bill: Bill, version: string): Bill {
  const ref = `bun@${version}`;
  const runtime: Component = {
    ...componentOf(RUNTIME, "platform"),
    version,
    "bom-ref": ref,
    purl: `pkg:npm/bun@${version}`,
    components: RUNTIME_PARTS.map((part) => componentOf(part, "library")),
  };
  const main = bill.metadata.component["bom-ref"];
  const dependencies = bill.dependencies.map((row) =>
    row.ref === main ? { ...row, dependsOn: [...(row.dependsOn ?? []), ref] } : row,
  );
  return { ...bill, components: [...bill.components, runtime], dependencies: [...dependencies, { ref }] };
}

function componentOf({ name, license, url }: RuntimePart, type: string): Component {
  return { type, name, licenses: [{ expression: license }], externalReferences: [{ type: "website", url }] };
}

/** What is wrong with the licenses of a component and its parts. */
export function problemsOf(component: Component): string[] {
  const isRuntime = component.type === "platform";
  const known = isRuntime ? FOR_RUNTIME : FOR_PACKAGES;
  const own = [component, ...(component.components ?? [])].flatMap((part) => {
    const expression = licenseOf(part);
    if (expression === undefined) return [`${titleOf(part)} names no license`];
    const ids = idsOf(expression);
    if (ids === undefined) return [`${titleOf(part)}: ${expression} is no SPDX expression`];
    return ids
      .filter((id) => !known.includes(id))
      .map((id) => `${titleOf(part)}: ${id} is not among the known licenses`);
  });
  const hasText = isRuntime || textsOf(component).length > 0;
  return hasText ? own : [...own, `${titleOf(component)} has no file with the text of its license`];
}

/** The SPDX expression of a component; undefined if it has none. Several licenses hold together. */
export function licenseOf({ licenses = [] }: Component): string | undefined {
  const all = licenses.map((one) =>
    "expression" in one ? one.expression : (one.license.id ?? one.license.name ?? ""),
  );
  return all.length === 0 ? undefined : all.join(" AND ");
}

/** The identifiers in an SPDX expression; undefined if it is none. All of them must be known, also where one is a choice. */
export function idsOf(expression: string): string[] | undefined {
  try {
    return leaves(parseSpdx(expression));
  } catch {
    return undefined;
  }
}

function leaves(node: ReturnType<typeof parseSpdx>): string[] {
  return "license" in node ? [node.license] : [...leaves(node.left), ...leaves(node.right)];
}

/** The texts that a package has with it. */
export function textsOf({ evidence }: Component): string[] {
  return (evidence?.licenses ?? []).flatMap(({ license: { text } }) =>
    text === undefined ? [] : [Buffer.from(text.content, text.encoding === "base64" ? "base64" : "utf8").toString()],
  );
}

/** The general text of a license, for what has none with it. @throws Error if there is none */
export function textOfLicense(id: string): string {
  const text = licenseTexts[id]?.licenseText;
  if (text === undefined) throw new Error(`there is no text of the license ${id}`);
  return text;
}

export function titleOf({ group, name, version }: Component): string {
  return `${group === undefined ? "" : `${group}/`}${name}${version === undefined ? "" : ` ${version}`}`;
}
