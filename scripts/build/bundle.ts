/**
 * Builds one binary from the sources. It never loads a file from its working directory: no .env, no bunfig.toml, no
 * package from node_modules.
 */

import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { type Bill, billOfMaterials } from "./bill.ts";
import { noticesOf } from "./notices.ts";
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

/** The module that the notices of a binary take the place of. */
const NOTICES = "src/commands/notices.ts";

/** What all binaries contain. */
export interface Program {
  readonly root: string;
  /** The names of the packages in `dependencies` of package.json: those are bundled even if ABSENT has them. */
  readonly dependencies: readonly string[];
  readonly bill: Bill;
  /** What `--licenses` prints. */
  readonly notices: string;
  readonly metafile: Bun.BuildMetafile;
}

export interface BundleOptions {
  readonly outfile: string;
  /** What `--version` says. */
  readonly commit: string;
  readonly target: Target;
  /** Bun for `target`. */
  readonly executablePath: string;
}

/** Looks at what a binary will contain. @throws Error with the messages of the bundler, or with what is wrong with the licenses */
export async function programOf(root: string): Promise<Program> {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const program = { root, dependencies: Object.keys(dependencies), notices: "" };
  const metafile = withoutAbsent(checked(await Bun.build(settings(program))));
  const bill = billOfMaterials(root, metafile, devDependencies["bun"] ?? "");
  return { ...program, bill, notices: noticesOf(bill), metafile };
}

/** Builds one binary. Throws with the messages of the bundler if that fails. */
export async function bundle(
  program: Program,
  { outfile, commit, target, executablePath }: BundleOptions,
): Promise<void> {
  const define = {
    MONGOTAP_COMMIT: JSON.stringify(commit),
    MONGOTAP_TARGET: JSON.stringify(target.name),
    // ssh2 reads them, and Bun would put in the paths of this machine. Nothing lies there in a binary anyway.
    __dirname: '"/"',
    __filename: '"/mongotap"',
  };
  const compile = {
    outfile,
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
    target: target.bun,
    executablePath,
  };
  checked(await Bun.build({ ...settings(program), bytecode: true, define, compile }));
}

function settings({
  root,
  dependencies,
  notices,
}: Pick<Program, "root" | "dependencies" | "notices">): Bun.BuildConfig {
  return {
    entrypoints: ENTRYPOINTS.map((path) => join(root, path)),
    root: join(root, "src"),
    target: "bun",
    // esm, because main.ts has a top-level await (bytecode), and so that `--help` loads no driver (splitting).
    format: "esm",
    splitting: true,
    // Bun's renaming of identifiers has broken programs (oven-sh/bun#28742).
    minify: { whitespace: true, syntax: true, identifiers: false },
    // All files in one folder, where chunks lie too: `new URL("./worker.ts", import.meta.url)` then names the same file
    // in a chunk of the binary as in the source beside it.
    naming: { entry: "[name].[ext]" },
    plugins: [withoutOptionalPackages(dependencies), withNotices(join(root, NOTICES), notices)],
    // An import that is not resolved now would be looked up in the working directory of the user.
    allowUnresolved: [],
    external: [],
    metafile: true,
    throw: false,
  };
}

function checked(result: Bun.BuildOutput): Bun.BuildMetafile {
  if (!result.success) throw new Error(result.logs.map(String).join("\n"));
  if (result.metafile === undefined) throw new Error("the bundler did not say what it has bundled");
  const left = externalImports(result.metafile);
  if (left.length > 0) throw new Error(`unresolved imports: ${left.join(", ")}`);
  return result.metafile;
}

/** Without the modules that take the place of absent packages: they are ours. */
function withoutAbsent(metafile: Bun.BuildMetafile): Bun.BuildMetafile {
  const outputs = Object.entries(metafile.outputs).map(([path, output]) => {
    const inputs = Object.entries(output.inputs).filter(([input]) => !input.startsWith("absent:"));
    return [path, { ...output, inputs: Object.fromEntries(inputs) }] as const;
  });
  return { ...metafile, outputs: Object.fromEntries(outputs) };
}

function withNotices(path: string, notices: string): Bun.BunPlugin {
  return {
    name: "with-notices",
    setup(build) {
      build.onLoad({ filter: /[\\/]commands[\\/]notices\.ts$/ }, (args) => {
        if (args.path !== path) throw new Error(`${args.path} is not ${path}`);
        return { loader: "js", contents: `export const NOTICES = ${JSON.stringify(notices)};` };
      });
    },
  };
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
function externalImports(metafile: Bun.BuildMetafile): string[] {
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  const left = imports.filter(
    ({ external, path }) => external === true && !isBuiltin(path) && !path.startsWith("./chunk-"),
  );
  return [...new Set(left.map(({ path }) => path))];
}
