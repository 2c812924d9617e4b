import { describe, expect, test } from "bun:test";
import { OPTIONS } from "../../src/config/options.ts";
import type { OptionRow } from "../../src/config/setting.ts";
import { TOO_LARGE_HINT } from "../../src/connect/server-errors.ts";
import { errorIn, loggerIn, platformText, WITHOUT_BEFORE } from "../../src/connectors/platform-text.ts";
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
