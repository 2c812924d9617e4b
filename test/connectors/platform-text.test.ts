import { describe, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli.ts";
import { OPTIONS } from "../../src/config/options.ts";
import type { OptionRow } from "../../src/config/setting.ts";
import { TOO_LARGE_HINT } from "../../src/connect/server-errors.ts";
import { errorIn, hintIn, loggerIn, platformText, WITHOUT_BEFORE } from "../../src/connectors/platform-text.ts";
import { MongotapError, POLICY } from "../../src/errors.ts";
import { createLogger, PLAIN } from "../../src/observe/log.ts";
import { FLAG } from "./airbyte.ts";

const inPlatform = platformText("refresh the stream");

describe("messages in the words of a platform", () => {
  test("name settings by their keys, except those that platforms use as flags themselves", () => {
    const rows: readonly [string, OptionRow][] = Object.entries(OPTIONS);
    for (const [key, { flag }] of rows) {
      const expected = { config: "--config", state: "--state", ssh: "networkTunnel", acceptChange: "" }[key] ?? key;
      expect(inPlatform(`Set --${flag}.`)).toBe(`Set ${expected}.`.replace(" .", "."));
    }
    expect(inPlatform("Start mongod with --replSet.")).toBe("Start mongod with --replSet.");
  });

  test.each([
    ["Use --arrays string, or leave --arrays out.", "Use arrays: string, or leave arrays out."],
    ["say --on-bad-document skip or quarantine=FILE.", "say onBadDocument: skip."],
    ["go on with --full-document exact --accept-change.", "go on with fullDocument: exact."],
    ["or run without --strict: the bytes", "or run without strict: the bytes"],
    ["a name of a file: --ssh-key FILE.", "a name of a file: sshKey FILE."],
    ["Run rs.initiate(); backfill works as it is.", "Run rs.initiate()."],
    ["restore it, or start over with --fresh.", "restore it, or refresh the stream."],
  ])("%s", (text, expected) => {
    expect(inPlatform(text)).toBe(expected);
  });

  test("advise nothing that a connector refuses", () => {
    expect(inPlatform(TOO_LARGE_HINT)).toEndWith(
      "Else ask for less (before: none), or pass over it: onBadDocument: skip.",
    );
    expect(platformText("", WITHOUT_BEFORE)(TOO_LARGE_HINT)).toEndWith("Else pass over it: onBadDocument: skip.");
  });

  test("begin again in the platform, where the command line says --fresh", () => {
    expect(inPlatform(new MongotapError("history-lost", "").hint)).toBe("Refresh the stream, and enlarge the oplog.");
    expect(inPlatform(new MongotapError("state", "").hint)).toBe("Refresh the stream.");
    for (const { hint } of Object.values(POLICY))
      expect(inPlatform(hint).replace("--help", "")).not.toMatch(/--(?!state)/);
    expect(inPlatform("--limit 5 is reached")).not.toMatch(FLAG);
  });
});

/** Every hint in the source: of its texts on one line, those that are sentences. */
async function hintsInSource(): Promise<readonly string[]> {
  const src = join(import.meta.dir, "..", "..", "src");
  const files = (await readdir(src, { recursive: true })).filter((name) => name.endsWith(".ts"));
  const texts = await Promise.all(files.map((name) => readFile(join(src, name), "utf8")));
  const quoted = texts.flatMap((text) => text.match(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\\n]|\\.)*`/g) ?? []);
  return quoted.map((text) => text.slice(1, -1).replaceAll("\\`", "`")).filter((text) => /^[A-Z`].*\.$/.test(text));
}

describe("hints", () => {
  const NO_SECRETS = createLogger({ level: "info", format: "text", paint: PLAIN, write: () => undefined });
  const inHint = (hint: string): string => hintIn(inPlatform, hint, NO_SECRETS);

  test("of all errors name no command and no flag that a platform does not have", async () => {
    const hints = await hintsInSource();
    expect(hints).toContain("`mongotap discover` lists what is there; --allow-missing waits for it.");
    expect(hints.length).toBeGreaterThan(100);
    for (const hint of hints) {
      const shown = inHint(hint);
      expect(shown).not.toMatch(/`(?:mongotap (?!airbyte|singer|flow)|backfill|tail|capture|discover)/);
      expect(shown).not.toMatch(
        /--(?!state|replSet|catalog|config|discover|about|decrypt)[a-z]|MONGOTAP_|allowMissing/,
      );
    }
  });

  test.each([
    ["`mongotap discover` lists what is there; --allow-missing waits for it.", ""],
    ["`backfill` can read it.", ""],
    ["Run `mongotap --help`.", ""],
    ["Correct the setting that is named above.", ""],
    ["Check the key (ssh-add -l), or name a key: --ssh-key FILE.", "Check the key (ssh-add -l)."],
    ["Run rs.initiate(). `backfill` works as it is.", "Run rs.initiate()."],
    ["Check MONGOTAP_SSH_PASSPHRASE.", "Check sshPassphrase."],
    ["Copy with --rate-limit, or start over with --fresh.", "Copy with rateLimit, or refresh the stream."],
  ])("%j is %j in a platform", (hint, expected) => {
    expect(inHint(hint)).toBe(expected);
  });

  test.each(Object.keys(COMMANDS))("`%s` is no advice there", (command) => {
    expect(inHint(`Use \`${command}\`. Or \`mongotap ${command} x\`. Else try again.`)).toBe("Else try again.");
  });
});

test("secrets are hidden before, since the words in them would change", () => {
  const SECRET = "pass--uri";
  const lines: string[] = [];
  const log = createLogger({ level: "info", format: "text", paint: PLAIN, write: (line) => lines.push(line) });
  log.hide([SECRET]);
  const inWords = loggerIn(inPlatform, log);
  inWords.warn(`not ${SECRET}`);
  inWords.fatal(new MongotapError("config", `not ${SECRET}`, { hint: `nor ${SECRET}, nor --uri` }));
  const { message, hint } = errorIn(inPlatform, new MongotapError("config", SECRET, { hint: SECRET }), log);
  expect(lines).toEqual(["mongotap: not ***\n", "mongotap: not ***\n", "  nor ***, nor uri\n"]);
  expect([message, hint]).toEqual(["***", "***"]);
});
