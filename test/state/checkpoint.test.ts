import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongotapError } from "../../src/errors.ts";
import { type Checkpoint, differences, loadCheckpoint, saveCheckpoint } from "../../src/state/checkpoint.ts";
import type { OutputMark } from "../../src/sink/sink.ts";
import type { Position } from "../../src/source/record.ts";
import { FINGERPRINT, timeFrom } from "../support/states.ts";

/** `true` where the types are the same in every field, its readonly and its `?` included; else `false`. */
type Equal<A, B> = (<T>() => T extends Same<A> ? 1 : 2) extends <T>() => T extends Same<B> ? 1 : 2 ? true : false;
type Same<T> = T extends string | number | boolean | null ? T : { [K in keyof T]: Same<T[K]> };

const CHECKPOINT: Checkpoint = {
  formatVersion: 2,
  seq: 7,
  source: { setName: "rs0", setId: "64f0c0ffee" },
  fingerprint: FINGERPRINT,
  // In another order than the schema: a state is not to be refused for that.
  position: {
    collections: {
      "app.größe": { ranges: [{ documents: 3, done: false, last: "AA==" }], uuid: null, phase: "copying" },
      "app.1": { copied: { ranges: 1, documents: 5 }, phase: "live" },
      "app.2": { uuid: "e1b2", phase: "pinned" },
      "app.3": { phase: "stale", voided: true },
      "app.4": { phase: "unbound" },
      "app.5": { copy: 3, uuid: null, phase: "pinned" },
    },
    copies: 3,
    stream: { sequence: 2, time: timeFrom("0000000100000002"), token: "gkZ+", resume: "startAfter" },
  },
  outputs: [
    {
      path: "/data/out/a.ndjson",
      key: { kind: "collection", namespace: "app.a" },
      bytes: 12,
      lines: 3,
      tailCrc: 4294967295,
      inode: 5,
      finalized: false,
    },
    {
      path: "/data/out/b~0003.ndjson",
      key: { kind: "partition", namespace: "app.b", partition: 3 },
      partial: "new",
      bytes: 0,
      lines: 0,
      tailCrc: 0,
      inode: 2 ** 60,
      finalized: false,
    },
    ...([{ kind: "quarantine" }, { kind: "everything" }] as const).map((key) => ({
      path: `/data/${key.kind}.ndjson`,
      key,
      bytes: 1,
      lines: 1,
      tailCrc: 1,
      inode: 1,
      finalized: true,
    })),
  ],
};

function scratch(): Disposable & { readonly path: string; readonly state: string } {
  const path = mkdtempSync(join(tmpdir(), "mongotap-state-"));
  return {
    path,
    state: join(path, "state.json"),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** What is said of the state at `path`; fails where it is taken for good or for missing. */
async function refusalOf(path: string): Promise<string> {
  try {
    await loadCheckpoint(path);
  } catch (error) {
    if (!(error instanceof MongotapError)) throw error;
    expect(error.kind).toBe("state");
    expect(error.message).toContain(path);
    expect(error.message).toEndWith("nothing was started over");
    return error.message;
  }
  throw new Error("the state was accepted");
}

/** Writes `content` as a state with a checksum that matches. */
function forge(path: string, content: Record<string, unknown>): void {
  const rest = JSON.stringify(content, null, 1);
  const checksum = createHash("sha256").update(rest).digest("hex");
  writeFileSync(path, `${rest.slice(0, -2)},\n "checksum": "sha256:${checksum}"\n}\n`);
}

test("loadCheckpoint() returns what saveCheckpoint() saved, and undefined only where there is nothing", async () => {
  using dir = scratch();
  expect(await loadCheckpoint(dir.state)).toBeUndefined();
  expect(await loadCheckpoint(join(dir.path, "missing/state.json"))).toBeUndefined();
  await saveCheckpoint(dir.state, CHECKPOINT);
  expect(await loadCheckpoint(dir.state)).toEqual(CHECKPOINT);
  await saveCheckpoint(dir.state, { ...CHECKPOINT, seq: 8 });
  expect(await loadCheckpoint(dir.state)).toEqual({ ...CHECKPOINT, seq: 8 });
  expect(readdirSync(dir.path)).toEqual(["state.json"]);
});

test("saveCheckpoint() keeps the state to its owner, also where it was open before", async () => {
  using dir = scratch();
  await saveCheckpoint(dir.state, CHECKPOINT);
  expect(statSync(dir.state).mode & 0o777).toBe(0o600);
  chmodSync(dir.state, 0o644);
  expect(await loadCheckpoint(dir.state)).toEqual(CHECKPOINT);
  await saveCheckpoint(dir.state, CHECKPOINT);
  expect(statSync(dir.state).mode & 0o777).toBe(0o600);
});

test("loadCheckpoint() refuses a state that was cut at any byte", async () => {
  using dir = scratch();
  await saveCheckpoint(dir.state, CHECKPOINT);
  const whole = readFileSync(dir.state);
  for (let end = 0; end < whole.length; end += 1) {
    writeFileSync(dir.state, whole.subarray(0, end));
    await refusalOf(dir.state);
  }
});

test("loadCheckpoint() refuses a state in which any byte was changed", async () => {
  using dir = scratch();
  await saveCheckpoint(dir.state, CHECKPOINT);
  const whole = readFileSync(dir.state);
  for (let index = 0; index < whole.length; index += 1) {
    const changed = Buffer.from(whole);
    changed[index] = whole[index] === 0x37 ? 0x38 : 0x37;
    writeFileSync(dir.state, changed);
    await refusalOf(dir.state);
  }
});

function withState(state: object): Record<string, unknown> {
  return { ...CHECKPOINT, position: { collections: { a: state } } };
}

function withTime(time: string): Record<string, unknown> {
  const { position } = CHECKPOINT;
  return { ...CHECKPOINT, position: { ...position, stream: { ...position.stream, time } } };
}

test("loadCheckpoint() says what is wrong with the content", async () => {
  using dir = scratch();
  const cases: readonly (readonly [content: string | Record<string, unknown>, said: string])[] = [
    ["", "it is empty"],
    ["\0".repeat(500), "not complete JSON"],
    ["null", "not a state file"],
    ["[]", "not a state file"],
    ['{"bookmarks": {}}', "not a state file"],
    [{ ...CHECKPOINT, formatVersion: 1 }, "format version 1, and this mongotap knows version 2"],
    [{ ...CHECKPOINT, formatVersion: 0 }, "format version 0"],
    [{ ...CHECKPOINT, position: undefined }, "position"],
    [{ ...CHECKPOINT, seq: -1 }, "seq"],
    [{ ...CHECKPOINT, seq: 1.5 }, "seq"],
    [{ ...CHECKPOINT, more: true }, "more"],
    [{ ...CHECKPOINT, outputs: [{ ...CHECKPOINT.outputs[0], bytes: "12" }] }, "outputs.0.bytes"],
    [{ ...CHECKPOINT, position: { collections: {}, stream: { token: "" } } }, "position.stream"],
    [withState({ phase: "gone" }), "position.collections.a.phase"],
    [withState({ phase: "copying", uuid: null, ranges: [] }), "position.collections.a.ranges"],
    [withState({ phase: "stale", voided: true, uuid: null }), "position.collections.a.uuid"],
    [withState({ phase: "stale" }), "position.collections.a.voided"],
    [withTime("0000000100000002 "), "position.stream.time"],
    [`${JSON.stringify({ ...CHECKPOINT, checksum: "sha256:0" }, null, 1)}\n`, "its checksum does not match"],
  ];
  for (const [content, said] of cases) {
    if (typeof content === "string") writeFileSync(dir.state, content);
    else forge(dir.state, content);
    expect(await refusalOf(dir.state)).toContain(said);
  }
});

test("loadCheckpoint() refuses a state that was only reformatted", async () => {
  using dir = scratch();
  await saveCheckpoint(dir.state, CHECKPOINT);
  writeFileSync(dir.state, JSON.stringify(JSON.parse(readFileSync(dir.state, "utf8"))));
  expect(await refusalOf(dir.state)).toContain("reformatted");
});

test("loadCheckpoint() refuses what is no file of ours", async () => {
  using dir = scratch();
  const at = (name: string): string => join(dir.path, name);
  await saveCheckpoint(dir.state, CHECKPOINT);
  mkdirSync(at("folder"));
  symlinkSync(dir.state, at("link"));
  symlinkSync(at("nowhere"), at("broken"));
  spawnSync("mkfifo", [at("fifo")]);
  expect(await refusalOf(at("folder"))).toContain("it is a directory");
  expect(await refusalOf(at("link"))).toContain("it is a symbolic link");
  expect(await refusalOf(at("broken"))).toContain("it is a symbolic link");
  expect(await refusalOf(at("fifo"))).toContain("it is not a regular file");
  expect(await refusalOf("/dev/null")).toContain("it is not a regular file");
  expect(await refusalOf(join(dir.state, "below"))).toContain("a part of the path is not a directory");
  for (const mode of [0o620, 0o602, 0o666]) {
    chmodSync(dir.state, mode);
    expect(await refusalOf(dir.state)).toContain("other users may write to it");
  }
});

// Only root can give a file away.
test.if(process.getuid?.() === 0)("loadCheckpoint() refuses the state of another user", async () => {
  using dir = scratch();
  await saveCheckpoint(dir.state, CHECKPOINT);
  chownSync(dir.state, 4711, 4711);
  expect(await refusalOf(dir.state)).toContain("it belongs to another user (uid 4711, not 0)");
});

test("loadCheckpoint() removes what crashed saves left behind, and nothing else", async () => {
  using dir = scratch();
  await saveCheckpoint(dir.state, CHECKPOINT);
  const left = ".state.json.0123456789abcdef.tmp";
  const others = [".other.json.0123456789abcdef.tmp", ".state.json.0123.tmp", "state.json.tmp"];
  for (const name of [left, ...others]) writeFileSync(join(dir.path, name), "{");
  await loadCheckpoint(dir.state, { readOnly: true });
  expect(readdirSync(dir.path)).toContain(left);
  await loadCheckpoint(dir.state);
  expect(readdirSync(dir.path).toSorted()).toEqual([...others, "state.json"].toSorted());
});

test("saveCheckpoint() says where it cannot save, and leaves nothing behind", async () => {
  using dir = scratch();
  mkdirSync(dir.state);
  const cases = [
    [join(dir.path, "missing/state.json"), "the file or its directory does not exist"],
    [dir.state, "it is a directory"],
    [`/proc/state.json`, ""],
  ] as const;
  for (const [path, said] of cases) {
    const failure = await saveCheckpoint(path, CHECKPOINT).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MongotapError);
    expect(failure).toMatchObject({ kind: "output" });
    expect(String(failure)).toContain(`cannot save the state file ${path}: ${said}`);
  }
  expect(readdirSync(dir.path)).toEqual(["state.json"]);
});

// A type that has a field which its schema lacks would be saved and then refused: tsc fails here instead.
test("the schema of the state file and the types of positions and output marks are the same", () => {
  const position: Equal<Checkpoint["position"], Position> = true;
  const outputs: Equal<Checkpoint["outputs"], readonly OutputMark[]> = true;
  expect([position, outputs]).toEqual([true, true]);
});

test("differences() lists each option that differs, by name", () => {
  const before = { ...FINGERPRINT, shard: { index: 0, of: 4 } };
  expect(differences(before, structuredClone(before))).toEqual([]);
  const namespaces = [...FINGERPRINT.namespaces, { db: "shop", except: ["a"] }];
  expect(differences(before, { ...FINGERPRINT, out: "/b", namespaces })).toEqual([
    { name: "namespaces", before: FINGERPRINT.namespaces, after: namespaces },
    { name: "out", before: FINGERPRINT.out, after: "/b" },
    { name: "shard", before: { index: 0, of: 4 }, after: undefined },
  ]);
});
