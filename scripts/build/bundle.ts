/**
 * Makes one binary of the sources. What it promises: nothing is loaded at run time from the folder in which the binary
 * is started: no .env, no bunfig.toml, no package from a node_modules that happens to be there.
 */

import { isBuiltin } from "node:module";
import { join } from "node:path";
import type { Target } from "./targets.ts";

/** The program, and its workers: each is a file that the binary can start by itself. */
const ENTRYPOINTS = ["src/main.ts", "src/workers/worker.ts", "src/sink/write-behind-thread.ts"];

/**
 * Packages that our dependencies try to load, and that a binary does not have. They are native or heavy, and their
 * absence is expected: ssh2 goes on without, mongodb says which feature is missing when a URI asks for it.
 */
const ABSENT = [
  "cpu-features",
  "kerberos",
  "@mongodb-js/zstd",
  "@aws-sdk/credential-providers",
  "gcp-metadata",
  "snappy",
  "socks",
  "mongodb-client-encryption",
];

export interface BundleOptions {
  readonly root: string;
  readonly outfile: string;
  /** The names of the packages in `dependencies` of package.json: an optional package becomes real by standing there. */
  readonly dependencies: readonly string[];
  /** Default: this machine. */
  readonly target?: Target;
  /** Bun for `target`. */
  readonly executablePath?: string;
}

/** Builds one binary; throws with the messages of the bundler where that fails. */
export async function bundle(options: BundleOptions): Promise<void> {
  const result = await Bun.build({
    entrypoints: ENTRYPOINTS.map((path) => join(options.root, path)),
    root: join(options.root, "src"),
    target: "bun",
    // Both need the format: bytecode because main.ts awaits at its top level, splitting so that `--help` loads no driver.
    format: "esm",
    bytecode: true,
    splitting: true,
    // Identifiers stay: Bun's renaming has broken programs (oven-sh/bun#28742).
    minify: { whitespace: true, syntax: true, identifiers: false },
    // All files in one folder, where chunks lie too: `new URL("./worker.ts", import.meta.url)` then names the same file
    // in a chunk of the binary as in the source beside it.
    naming: { entry: "[name].[ext]" },
    plugins: [withoutOptionalPackages(options.dependencies)],
    // A name that is computed, or that nothing stands for, would be looked up in the folder of the user.
    allowUnresolved: [],
    external: [],
    metafile: true,
    throw: false,
    compile: {
      outfile: options.outfile,
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
      ...(options.target === undefined ? {} : { target: options.target.bun }),
      ...(options.executablePath === undefined ? {} : { executablePath: options.executablePath }),
    },
  });
  if (!result.success) throw new Error(result.logs.map(String).join("\n"));
  const left = externalImports(result.metafile);
  if (left.length > 0) throw new Error(`left to be found at run time: ${left.join(", ")}`);
}

/** Puts a module that throws "Cannot find module" in the place of every optional package and every native addon. */
function withoutOptionalPackages(dependencies: readonly string[]): Bun.BunPlugin {
  const absent = ABSENT.filter((name) => !dependencies.includes(name));
  return {
    name: "without-optional-packages",
    setup(build) {
      const filter = new RegExp(`^(${absent.join("|")})(/|$)|\\.node$`);
      build.onResolve({ filter }, ({ path }) => ({ path, namespace: "absent" }));
      build.onLoad({ filter: /.*/, namespace: "absent" }, ({ path }) => ({
        loader: "js",
        contents: `throw Object.assign(new Error(${JSON.stringify(`Cannot find module '${path}'`)}), { code: "MODULE_NOT_FOUND" });`,
      }));
    },
  };
}

/** What the bundle imports that neither stands in it nor comes with the runtime. */
function externalImports(metafile: Bun.BuildMetafile | undefined): string[] {
  const imports = Object.values(metafile?.inputs ?? {}).flatMap((input) => input.imports);
  const left = imports.filter(
    ({ external, path }) => external === true && !isBuiltin(path) && !path.startsWith("./chunk-"),
  );
  return [...new Set(left.map(({ path }) => path))];
}
