import { beforeAll, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { EVERYTHING } from "../../src/lib/output-key.ts";
import { type Checkpoint, saveCheckpoint } from "../../src/state/checkpoint.ts";
import { tempDir } from "../support/temp.ts";
import { errorOf } from "./in-process.ts";
import { FINGERPRINT, timeFrom } from "../support/states.ts";

const PARTS = 40;

/** As a capture leaves it: written by the program's own hand. */
function checkpointOf(out: string): Checkpoint {
  return {
    formatVersion: 2,
    seq: 17,
    source: { setName: "rs", setId: "6b01bc53000087042b87dbf8" },
    fingerprint: { ...FINGERPRINT, out },
    position: {
      stream: {
        token: "FgAAAAdfaWQAZVPxAP7twN5aAAAFAA==",
        resume: "resumeAfter",
        time: timeFrom("6b01cc2b00000001"),
        sequence: 1,
      },
      collections: {
        "shop.orders": {
          uuid: "c28e7a848fab4f65bc40e2408c11183b",
          phase: "copying",
          ranges: [{ documents: 6, done: false, last: "FgAAAAdfaWQAZVPxAP7twN5aAAAFAA==" }],
        },
      },
    },
    outputs: [{ path: out, key: EVERYTHING, bytes: 6, lines: 1, tailCrc: 1, inode: 1, finalized: false }],
  };
}

let whole: Buffer;

beforeAll(async () => {
  await using dir = await tempDir();
  await saveCheckpoint(dir.join("state"), checkpointOf("/some/where/out"));
  whole = await readFile(dir.join("state"));
});

test("a state that is cut at any 40th of its bytes is refused, never taken for a fresh start, and nothing is touched", async () => {
  await using dir = await tempDir();
  const [out, state] = [dir.join("out"), dir.join("state")];
  await writeFile(out, "line\n");
  for (let part = 0; part < PARTS; part += 1) {
    const cut = whole.subarray(0, Math.floor((whole.length * part) / PARTS));
    await writeFile(state, cut, { mode: 0o600 });
    const { exitCode, message } = await errorOf(["capture", "shop.orders", "--state", state, "--out", out]);
    expect(exitCode).toBe(3);
    expect(message).toContain("nothing was started over");
    expect((await readFile(state)).equals(cut)).toBe(true);
    expect(await readFile(out, "utf8")).toBe("line\n");
  }
});

test("the same state, whole, is believed: it is the command line that it does not fit", async () => {
  await using dir = await tempDir();
  await writeFile(dir.join("state"), whole, { mode: 0o600 });
  const { message } = await errorOf(["capture", "shop.orders", "--state", dir.join("state"), "--out", dir.join("out")]);
  expect(message).toContain("was made by another command line: ");
  expect(message).toContain("out: /some/where/out → ");
});
