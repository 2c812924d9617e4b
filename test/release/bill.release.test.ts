/** What the binary contains: the bill of materials, the notices, the size. */

import { beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { titleOf } from "../../scripts/build/bill.ts";
import { type Program, programOf } from "../../scripts/build/bundle.ts";
import { contentsOf, sizeOf } from "../../scripts/build/size.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const BINARY = join(ROOT, "dist/mongotap");

let program: Program;
beforeAll(async () => void (program = await programOf(ROOT)));

test("--licenses prints the notices of each package that was bundled, and of the runtime", () => {
  const { stdout, exitCode } = Bun.spawnSync([BINARY, "--licenses"]);
  const printed = stdout.toString();
  expect(exitCode).toBe(0);
  const bundled = Object.keys(program.metafile.inputs).flatMap((path) => packageFolder(path) ?? []);
  const names = [...new Set(bundled)].map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8")) as {
      name: string;
      version: string;
    };
    return `  ${name} ${version} `;
  });
  expect(names.length).toBeGreaterThan(20);
  expect([...names, `bun ${Bun.version}`].filter((name) => !printed.includes(name))).toEqual([]);
  const ssh2 = readFileSync(join(ROOT, "node_modules/ssh2/LICENSE"), "utf8").trim();
  expect(printed).toContain(ssh2);
});

/** The folder of the package that a bundled file is in; nested packages have their own. */
function packageFolder(path: string): string | undefined {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
}

test("the bill of materials is valid CycloneDX 1.6, names the runtime, and is the same each time", async () => {
  const folder = join(ROOT, "node_modules/@cyclonedx/cyclonedx-library/res/schema");
  const ajv = new Ajv({ strict: false, validateFormats: true });
  addFormats.default(ajv);
  for (const format of ["iri-reference", "idn-email"]) ajv.addFormat(format, true);
  const schemaOf = (name: string): object => JSON.parse(readFileSync(join(folder, name), "utf8")) as object;
  for (const name of readdirSync(folder).filter((one) => /^(spdx|jsf-).*\.schema\.json$/.test(one))) {
    ajv.addSchema(schemaOf(name), `http://cyclonedx.org/schema/${name}`);
  }
  const isValid = ajv.compile(schemaOf("bom-1.6.SNAPSHOT.schema.json"));
  expect([isValid(JSON.parse(JSON.stringify(program.bill))), isValid.errors]).toEqual([true, null]);
  const titles = program.bill.components.map(titleOf);
  expect(titles).toContain(`bun ${Bun.version}`);
  expect((await programOf(ROOT)).bill).toEqual(program.bill);
});

test("contentsOf() adds up to the size of the binary", () => {
  const size = sizeOf(BINARY, process.execPath);
  const rows = contentsOf(size, program)
    .split("\n")
    .map((line) => Number(line.trim().split(" ")[0]));
  const total = rows.pop() ?? 0;
  expect(Math.abs(rows.reduce((sum, row) => sum + row, 0) - total)).toBeLessThan(0.1);
  expect(Math.min(...rows)).toBeGreaterThan(0);
});
