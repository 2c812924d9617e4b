/** Files that the real sops makes during the test, read by the program: as a user would. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { builtSops, type SopsTools } from "../../scripts/sops.ts";
import { CANARY, run } from "../support/cli.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { encrypt, makeKey, SOPS_DOCUMENTS, type SopsDocument } from "./sops-documents.ts";

const tools = requireSops();

function requireSops(): SopsTools {
  const built = builtSops();
  if (built === undefined) throw new Error("the real sops is missing: `bun scripts/sops.ts` builds it, with go");
  return built;
}

/** Nobody listens there: whoever gets so far has read its config. The hint of a run that did not is another. */
const READ = "cannot connect to mongodb://127.0.0.1:1/";

let dir: TempDir;
let recipient = "";

beforeAll(async () => {
  dir = await tempDir();
  recipient = makeKey(tools, dir.join("keys.txt"));
});

afterAll(async () => {
  await dir[Symbol.asyncDispose]();
});

function document(name: string): SopsDocument {
  const found = SOPS_DOCUMENTS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no document ${name}`);
  return found;
}

async function encrypted(name: string, recipients: readonly string[] = [recipient]): Promise<string> {
  const path = dir.join(name);
  await writeFile(path, encrypt(tools, document(name), recipients));
  return path;
}

function tail(config: string, env: Readonly<Record<string, string>>): ReturnType<typeof run> {
  const home = { HOME: dir.path, XDG_CONFIG_HOME: undefined, SOPS_AGE_KEY: undefined, SOPS_AGE_KEY_FILE: undefined };
  return run(["tail", "--config", config], { env: { ...home, ...env } });
}

describe("files of the real sops", () => {
  test.each(["config.yaml", "config-suffix.yaml"])(
    "%s is opened with an age key, in one of three ways",
    async (name) => {
      const config = await encrypted(name);
      const key =
        (await readFile(dir.join("keys.txt"), "utf8")).split("\n").find((line) => line.startsWith("AGE-")) ?? "";
      await mkdir(dir.join("home", "sops", "age"), { recursive: true });
      await writeFile(dir.join("home", "sops", "age", "keys.txt"), key, { mode: 0o600 });
      const ways = [
        { SOPS_AGE_KEY: key },
        { SOPS_AGE_KEY_FILE: dir.join("keys.txt") },
        { XDG_CONFIG_HOME: dir.join("home") },
      ];
      for (const env of ways) {
        const { code, stderr } = await tail(config, env);
        expect(stderr).toContain(READ);
        expect(code).toBe(4);
      }
    },
  );

  test("a post-quantum key, and one of two recipients", async () => {
    const second = makeKey(tools, dir.join("pq.txt"), ["-pq"]);
    const config = await encrypted("config.yaml", [recipient, second]);
    expect((await tail(config, { SOPS_AGE_KEY_FILE: dir.join("pq.txt") })).stderr).toContain(READ);
    expect((await tail(config, { SOPS_AGE_KEY_FILE: dir.join("keys.txt") })).stderr).toContain(READ);
  });

  test("a changed value, a broken MAC, a wrong key and a missing key: each its own line", async () => {
    makeKey(tools, dir.join("other.txt"));
    const config = await encrypted("config-suffix.yaml");
    const text = await readFile(config, "utf8");
    const broken: readonly (readonly [says: string, text: string])[] = [
      ["its MAC does not fit", text.replace("user: reader", "user: writer")],
      ["has a MAC that cannot be read", text.replace(/(mac: ENC.*data:)./, "$1!")],
      ["password_sops does not decrypt", text.replace(/(password_sops: ENC.*data:)./, "$1!")],
    ];
    for (const [says, changed] of broken) {
      await writeFile(dir.join("broken.yaml"), changed);
      const { code, stderr } = await tail(dir.join("broken.yaml"), { SOPS_AGE_KEY_FILE: dir.join("keys.txt") });
      expect(stderr).toContain(says);
      expect(code).toBe(2);
    }
    expect((await tail(config, { SOPS_AGE_KEY_FILE: dir.join("other.txt") })).stderr).toContain(
      "none of your age keys opens it",
    );
    expect((await tail(config, {})).stderr).toContain("there is no age key to open it");
  });

  test("key groups are opened by the program sops, where it is on PATH", async () => {
    const second = makeKey(tools, dir.join("second.txt"));
    const rules = `creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [${recipient}]\n      - age: [${second}]\n`;
    await writeFile(dir.join(".sops.yaml"), rules);
    await writeFile(dir.join("groups.yaml"), document("config-suffix.yaml").text);
    const args = ["encrypt", "--in-place", "--encrypted-suffix", "_sops", "groups.yaml"];
    execFileSync(tools.sops, args, { cwd: dir.path, stdio: "pipe" });
    const both = `${await readFile(dir.join("keys.txt"), "utf8")}\n${await readFile(dir.join("second.txt"), "utf8")}`;
    await writeFile(dir.join("both.txt"), both);
    await chmod(dir.join("both.txt"), 0o600);
    const found = { PATH: `${tools.folder}:${process.env["PATH"] ?? ""}` };
    expect(
      (await tail(dir.join("groups.yaml"), { ...found, SOPS_AGE_KEY_FILE: dir.join("both.txt") })).stderr,
    ).toContain(READ);
    const one = await tail(dir.join("groups.yaml"), { ...found, SOPS_AGE_KEY_FILE: dir.join("keys.txt") });
    expect(one.stderr).toContain("it has key groups, so the program sops was asked: no key for it could be had");
    const none = await tail(dir.join("groups.yaml"), { PATH: "/nowhere", SOPS_AGE_KEY_FILE: dir.join("both.txt") });
    expect(none.stderr).toContain("the program sops, which could open it, is not installed");
    expect(none.code).toBe(2);
    const changed = (await readFile(dir.join("groups.yaml"), "utf8")).replace("user: reader", "user: writer");
    await writeFile(dir.join("changed.yaml"), changed);
    const mac = await tail(dir.join("changed.yaml"), { ...found, SOPS_AGE_KEY_FILE: dir.join("both.txt") });
    expect(mac.stderr).toContain("its MAC does not fit");
  });

  test("an encrypted part of a catalog is handed to the program sops as well", async () => {
    const part = (await readFile(dir.join("groups.yaml"), "utf8")).replaceAll(/^(?=.)/gm, "          ");
    const inline = part.replace(/^ +namespaces:\n.*\n/m, "").replace(/^ +retryFor.*\n/m, "");
    const catalog = (config: string): string =>
      `captures:\n  a/b:\n    endpoint:\n      connector:\n        image: source-mongodb\n        config:\n${config}    bindings: [{resource: {database: shop, collection: orders}}]\n`;
    const path = join(dir.path, "catalog.yaml");
    await writeFile(path, catalog(inline));
    const env = { PATH: `${tools.folder}:${process.env["PATH"] ?? ""}`, SOPS_AGE_KEY_FILE: dir.join("both.txt") };
    expect((await tail(path, env)).stderr).toContain("its MAC does not fit"); // two values were taken out
    await writeFile(path, catalog(part));
    expect((await tail(path, env)).stderr).toContain("config.namespaces is not a key of an endpoint config");
  });

  test("what is secret is printed nowhere, not even when the value is of no use", async () => {
    const text = `address: ${CANARY}://x\nuser: u\nlimit: ${CANARY}\nnamespaces: [${CANARY}/x]\n`;
    await writeFile(dir.join("canary.yaml"), encrypt(tools, { name: "canary.yaml", text, args: [] }, [recipient]));
    const { code, stderr } = await tail(dir.join("canary.yaml"), { SOPS_AGE_KEY_FILE: dir.join("keys.txt") });
    expect(code).toBe(2);
    expect(stderr).toContain("limit takes a whole number");
  });
});
