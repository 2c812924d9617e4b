import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createFile, removeTemporaries, replaceFile } from "../../src/lib/atomic-file.ts";
import { codeOf } from "../../src/lib/fs.ts";
import { rejectionOf } from "../support/rejection.ts";
import { runShell } from "../support/small-disk.ts";
import { tempDir } from "../support/temp.ts";

const MODULE = join(import.meta.dirname, "../../src/lib/atomic-file.ts");

test("replaceFile() puts a file of the owner alone in place of another", async () => {
  await using dir = await tempDir();
  writeFileSync(dir.join("a"), "longer than what comes", { mode: 0o644 });
  await replaceFile(dir.join("a"), "größe\n");
  expect(readFileSync(dir.join("a"), "utf8")).toBe("größe\n");
  if (process.platform !== "win32") expect(statSync(dir.join("a")).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir.path)).toEqual(["a"]);
});

test("createFile() rejects with EEXIST where there is a file, and leaves it as it is", async () => {
  await using dir = await tempDir();
  await createFile(dir.join("a"), "first");
  const error = await rejectionOf(createFile(dir.join("a"), "second"));
  expect(codeOf(error)).toBe("EEXIST");
  expect(readFileSync(dir.join("a"), "utf8")).toBe("first");
  expect(readdirSync(dir.path)).toEqual(["a"]);
});

test("removeTemporaries() removes what crashed writers of this path have left, and never throws", async () => {
  await using dir = await tempDir();
  const others = [".b.0123456789abcdef.tmp", ".a.0123.tmp", "a"];
  for (const name of [".a.0123456789abcdef.tmp", ...others]) writeFileSync(dir.join(name), "{");
  await removeTemporaries(dir.join("a"));
  expect(readdirSync(dir.path).toSorted()).toEqual(others.toSorted());
  await removeTemporaries(dir.join("no/a"));
});

// What a crash of the process cannot show: the order in which bytes and names reach the disk.
test.if(runShell("strace true").status === 0).each(["replaceFile", "createFile"])(
  "%s() syncs the bytes, then gives them their name, then syncs the directory",
  async (name) => {
    await using dir = await tempDir();
    writeFileSync(
      dir.join("script.ts"),
      `import { ${name} } from "${MODULE}"; await ${name}("${dir.join("o/a")}", "x");`,
    );
    const trace = `strace -f -qq -y -e trace=write,pwrite64,fsync,rename,link -o '${dir.join("trace")}'`;
    expect(
      runShell(`mkdir '${dir.join("o")}' && ${trace} '${process.execPath}' '${dir.join("script.ts")}'`).status,
    ).toBe(0);
    const calls = readFileSync(dir.join("trace"), "utf8")
      .split("\n")
      .filter((line) => line.includes(dir.join("o")))
      .map((line) => /(\w+)\(/.exec(line)?.[1]);
    const place = name === "replaceFile" ? "rename" : "link";
    expect(calls.map((call) => (call === "pwrite64" ? "write" : call))).toEqual(["write", "fsync", place, "fsync"]);
  },
);
