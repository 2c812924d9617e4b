/** Makes the container image: files of Debian, the binaries, the labels. */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Architecture, type Choice, debianPackages } from "./debian.ts";
import { type Image, type Layer, writeLayout, type Written } from "./layout.ts";
import { CERTIFICATES, HOME, PROGRAM, programLayer, shellLayer, systemLayer, USER } from "./root.ts";

/** The targets whose binaries it holds, and what they are in an image. root.ts says why they are those for glibc. */
export const IN_IMAGE: ReadonlyMap<string, Architecture> = new Map([
  ["linux-x64", "amd64"],
  ["linux-arm64", "arm64"],
]);

/** The link by which the program is a source of Airbyte. */
const AIRBYTE = "/usr/local/bin/source-mongotap";

export interface ImageOptions {
  readonly root: string;
  /** The binary for glibc of each processor. */
  readonly binaries: Readonly<Partial<Record<Architecture, string>>>;
  readonly version: string;
  readonly commit: string;
  readonly time: Date;
  /** The folder of the layout; the digest is written beside it. */
  readonly folder: string;
  readonly packages?: Choice;
}

/**
 * Writes the layout, and the digests of its indexes into `folder`.digest. Under the tag of the version is the program; under
 * `VERSION-airbyte` and `VERSION-flow` the same image starts as a connector, for Airbyte with a shell, because its runner starts
 * connectors by a script.
 */
export async function writeImage(options: ImageOptions): Promise<Written[]> {
  const { version, time, folder } = options;
  const plain: Image[] = [];
  const withShell: Image[] = [];
  for (const [architecture, binary] of Object.entries(options.binaries)) {
    const [shell, ...layers] = imageOf(architecture as Architecture, binary, options);
    plain.push({ architecture: architecture as Architecture, layers });
    withShell.push({ architecture: architecture as Architecture, layers: [...layers, shell] });
  }
  const annotations = annotationsOf(options);
  mkdirSync(dirname(folder), { recursive: true });
  const starting = (...entrypoint: readonly string[]): Record<string, unknown> =>
    configOf(annotations, version, entrypoint);
  const sets = [
    { tag: version, images: plain, config: starting(PROGRAM) },
    { tag: `${version}-airbyte`, images: withShell, config: starting(AIRBYTE) },
    { tag: `${version}-flow`, images: plain, config: starting(PROGRAM, "flow") },
  ];
  const written = await writeLayout(sets, { folder, time, annotations });
  writeFileSync(`${folder}.digest`, written.map(({ tag, digest }) => `${digest}  ${tag}\n`).join(""));
  return written;
}

/** The layer with the shell, then those of the image without one. */
function imageOf(
  architecture: Architecture,
  binary: string,
  { root, version, packages: choice }: ImageOptions,
): [shell: Layer, system: Layer, program: Layer] {
  const packages = debianPackages(architecture, choice);
  const list = (names: readonly string[]): string =>
    packages.flatMap((one) => (names.includes(one.name) ? [`${one.name} ${one.version}`] : [])).join(", ");
  return [
    { text: `a shell: ${list(["busybox-static"])}`, entries: shellLayer(packages) },
    {
      text: `certificates, user, /tmp, and libraries: ${list(["libc6", "ca-certificates"])}`,
      entries: systemLayer(architecture, packages),
    },
    { text: `mongotap ${version}`, entries: programLayer(binary, join(root, "LICENSE")) },
  ];
}

function annotationsOf({ version, commit, time }: ImageOptions): Record<string, string> {
  return {
    "org.opencontainers.image.title": "mongotap",
    "org.opencontainers.image.description":
      "Copies MongoDB collections, and their changes as they happen, into NDJSON.",
    "org.opencontainers.image.version": version,
    "org.opencontainers.image.revision": commit,
    "org.opencontainers.image.created": time.toISOString(),
    "org.opencontainers.image.licenses": "Apache-2.0",
  };
}

/** Flow reads the codec from the label or the variable: https://docs.estuary.dev. Airbyte's runner starts what its variable names. */
function configOf(
  annotations: Readonly<Record<string, string>>,
  version: string,
  entrypoint: readonly string[],
): Record<string, unknown> {
  const codec = "json";
  return {
    User: `${USER}:${USER}`,
    Env: [
      "PATH=/usr/local/bin:/bin",
      `HOME=${HOME}`,
      `SSL_CERT_FILE=${CERTIFICATES}`,
      `FLOW_RUNTIME_CODEC=${codec}`,
      `AIRBYTE_ENTRYPOINT=${AIRBYTE}`,
    ],
    Entrypoint: entrypoint,
    WorkingDir: HOME,
    StopSignal: "SIGTERM",
    Labels: {
      ...annotations,
      FLOW_RUNTIME_PROTOCOL: "capture",
      FLOW_RUNTIME_CODEC: codec,
      CONNECTOR_PROTOCOL: "flow-capture",
      "dev.estuary.usage-rate": "1.0",
      "io.airbyte.name": "source-mongotap",
      "io.airbyte.version": version,
    },
  };
}
