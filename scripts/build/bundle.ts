/**
 * Builds one binary from the sources. It never loads a file from its working directory: no .env, no bunfig.toml, no
 * package from node_modules.
 */

import { isBuiltin } from "node:module";
import { join } from "node:path";
import type { Target } from "./targets.ts";

/** The program and its worker threads: each file that the binary starts. */
const ENTRYPOINTS = ["src/main.ts", "src/workers/worker.ts", "src/sink/write-behind-thread.ts"];

/**
 * Packages that our dependencies try to load and that the binary does not contain: they are native or heavy. ssh2 works
 * without them, and mongodb names the missing feature when a URI needs it.
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
  /** The names of the packages in `dependencies` of package.json: those are bundled even if ABSENT has them. */
  readonly dependencies: readonly string[];
  /** Default: this machine. */
  readonly target?: Target;
  /** Bun for `target`. */
  readonly executablePath?: string;
}

/** Builds one binary. Throws with the messages of the bundler if that fails. */
export async function bundle(options: BundleOptions): Promise<void> {
  const result = await Bun.build({
    entrypoints: ENTRYPOINTS.map((path) => join(options.root, path)),
    root: join(options.root, "src"),
    target: "bun",
    // esm, because main.ts has a top-level await (bytecode), and so that `--help` loads no driver (splitting).
    format: "esm",
    bytecode: true,
    splitting: true,
    // Bun's renaming of identifiers has broken programs (oven-sh/bun#28742).
    minify: { whitespace: true, syntax: true, identifiers: false },
    // All files in one folder, where chunks lie too: `new URL("./worker.ts", import.meta.url)` then names the same file
    // in a chunk of the binary as in the source beside it.
    naming: { entry: "[name].[ext]" },
    plugins: [withoutOptionalPackages(options.dependencies)],
    // An import that is not resolved now would be looked up in the working directory of the user.
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
  if (left.length > 0) throw new Error(`unresolved imports: ${left.join(", ")}`);
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

/** What the bundle imports and neither contains nor finds in the runtime. */
function externalImports(metafile: Bun.BuildMetafile | undefined): string[] {
  const imports = Object.values(metafile?.inputs ?? {}).flatMap((input) => input.imports);
  const left = imports.filter(
    ({ external, path }) => external === true && !isBuiltin(path) && !path.startsWith("./chunk-"),
  );
  return [...new Set(left.map(({ path }) => path))];
}
