/** The package.json of each npm package: `mongotap`, and one package for each platform with its binary. */

import type { Target } from "../build/targets.ts";

/** What the manifests take from the package.json of the repository. */
export interface Project {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly engines: Readonly<Record<string, string>>;
}

/** `process.platform` of each kind of executable. */
const PLATFORMS = { ELF: "linux", "Mach-O": "darwin", PE: "win32" } as const;
const SYSTEMS = { linux: "Linux", darwin: "macOS", win32: "Windows" } as const;

/** `@mongotap/linux-x64-musl`: with the names that Node.js has for systems and processors. */
export function platformPackage({ format }: Target): string {
  return `@mongotap/${PLATFORMS[format.container]}-${format.cpu}${format.libc === "musl" ? "-musl" : ""}`;
}

export function binaryFile({ format }: Target): string {
  return format.container === "PE" ? "mongotap.exe" : "mongotap";
}

/** Beside a binary: the notices of the software in it. */
export const NOTICES_FILE = "THIRD-PARTY-NOTICES.txt";

export function platformManifest(project: Project, target: Target): object {
  const { container, cpu, libc } = target.format;
  const platform = PLATFORMS[container];
  return {
    ...shared(project, platformPackage(target)),
    description: `The binary of mongotap for ${SYSTEMS[platform]} on ${cpu}${libc === undefined ? "" : ` (${libc})`}.`,
    os: [platform],
    cpu: [cpu],
    ...(libc === undefined ? {} : { libc: [libc] }),
    files: [binaryFile(target), NOTICES_FILE],
    // Yarn must not keep it in an archive, where it cannot run.
    preferUnplugged: true,
  };
}

export function mainManifest(project: Project, targets: readonly Target[]): object {
  return {
    ...shared(project, project.name),
    description: project.description,
    keywords: ["mongodb", "change-streams", "cdc", "change-data-capture", "export", "ndjson", "testing", "replica-set"],
    type: "module",
    engines: project.engines,
    bin: { mongotap: "lib/bin.js" },
    exports: {
      "./testing": { types: "./lib/testing.d.ts", default: "./lib/testing.js" },
      "./package.json": "./package.json",
    },
    files: ["lib"],
    // Exactly this version: the script and the binary are one program.
    optionalDependencies: Object.fromEntries(targets.map((target) => [platformPackage(target), project.version])),
    // For `mongotap/testing` alone. A project that is tested so has a driver.
    peerDependencies: { mongodb: ">=5", "mongodb-memory-server-core": ">=10" },
    peerDependenciesMeta: { mongodb: { optional: true }, "mongodb-memory-server-core": { optional: true } },
  };
}

function shared({ version, license }: Project, name: string): object {
  return { name, version, license, publishConfig: { access: "public" } };
}

/** What `npm.ts` prints: the folders that it has written, `mongotap` last, and what to do with them. */
export function nextSteps(folders: readonly string[], isAll: boolean): string {
  const next = isAll
    ? ["Publish each, the last one last:", ...folders.map((folder) => `npm publish ${folder}`)]
    : // Without --install-links they are links, and the command does not find its binary.
      ["Install both into a project:", `npm install -D --install-links ${folders.join(" ")}`];
  return [...folders, "", ...next].join("\n");
}
