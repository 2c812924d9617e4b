/**
 * The code speaks MongoDB's, CDC's and Unix' language (docs/architecture.md has the glossary). The names of the private
 * vocabulary that it had before are not used again, and comments stay plain.
 */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

/** What has been renamed, with the name to use instead. */
const RENAMED: Readonly<Record<string, string>> = {
  Asked: "ExpectedRun",
  Door: "SocksProxy",
  DoorSettings: "SocksProxySettings",
  ENDINGS: "TERMINAL_OPERATIONS",
  Endings: "TerminalEvents",
  FatalEnding: "FatalInvalidation",
  Faults: "ConfigProblems",
  Given: "RawSetting",
  Keeping: "CheckpointStore",
  Moment: "EventTime",
  NOWHERE: "EMPTY_POSITION",
  Pace: "ReadThrottle",
  PaceSettings: "ThrottleSettings",
  PieceReader: "SubRangeReader",
  Readers: "ReaderPool",
  ReplyBuffer: "MessageAssembler",
  SessionPlan: "RunPlan",
  Survey: "EventScan",
  ToldApart: "SeparateCredentials",
  Way: "ProxyRoute",
  WayThrough: "TunnelRoute",
  Workbench: "SharedKernel",
  World: "ProcessContext",
  bindingsOf: "selectBindings",
  checkPlaces: "assertUnchanged",
  createPace: "createThrottle",
  explainDocument: "diagnoseDocument",
  explainValue: "diagnoseValue",
  findCut: "findSplitPoint",
  findEndings: "findTerminalEvents",
  giveBack: "release or detach",
  giveUp: "release",
  hasReader: "mayBlock",
  isHolding: "isBlocked",
  isOwn: "ReplyMemory",
  isWelcome: "authenticate",
  keepAt: "openCheckpointStore",
  leadTo: "setAllowedHosts",
  leastWaitMs: "retryAfterMs",
  letIn: "handleClient",
  loadFor: "loadMatching",
  mendDriver: "patchDriver",
  momentOf: "eventTimeOf",
  namesWithin: "OutputPaths",
  newsOf: "positionOnly",
  objectionTo: "validate…",
  openDoor: "startSocksProxy",
  openSink: "openOutput",
  openedAt: "startsAfter",
  paced: "throttled",
  paceOf: "throttleOf",
  partOf: "an output key",
  patienceOf: "retryAfterOf",
  placeOf: "currentPath",
  readInPieces: "readInSubRanges",
  readableOf: "rangeReadableOf",
  readersOf: "createReaderPool",
  refuseOlderParts: "rejectStalePartitions",
  runSession: "runCopy",
  shareRanges: "publishRanges",
  standIn: "replacement",
  surveyOf: "scanEvents",
  tunnelOf: "openTunnelOf",
  unseal: "decryptSops",
  wayThrough: "routeThrough",
  wholeOf: "an output key",
  withAside: "withQuarantine",
  withholdStderr: "replaceStderr",
  withholdStdout: "hideStdout",
};

/** Files of the layout before, by name without folder. */
const MOVED = /\b(driver-mends|socks-door|give-back|part-name|older-parts|keeping|pacing|majority-lag)\.(test\.)?ts\b/;

/** What a native technical writer would not put into a comment. */
const DIALECT: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bso (many|long)\b/i, "N, or a duration by its name"],
  [/\bgiven? back\b|\bgives back\b/i, "release"],
  [/\bmend(s|ed|ing)?\b/i, "patch, fix, work around"],
  [/\bknock(s|ed)?\b/i, "connection attempt"],
  [/\btold apart\b|\btells? apart\b/i, "distinguish"],
  [/\bnobody\b|\bsomebody\b|\bwhoever\b/i, "name the component"],
  [/\b(is|are|was|were|be|been) told\b/i, "report, log, receive"],
  [
    /\bwho (has|have|is|are|was|takes?|reads?|writes?|asks?|wants?|does|do|says?|looks?|gets?|finds?)\b/i,
    "that, which",
  ],
];

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .filter((path) => path !== "test/architecture/vocabulary.test.ts")
    .toSorted();
}

interface Parts {
  readonly code: string;
  readonly comments: string;
}

/** Strings, comments and the rest; a regular expression with quotes or slashes in it may end up in the wrong part. */
const TOKENS = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[^])*`|\/\*[^]*?\*\/|\/\/[^\n]*/g;

const known = new Map<string, Parts>();

function partsOf(path: string): Parts {
  const parts = known.get(path) ?? readParts(path);
  known.set(path, parts);
  return parts;
}

/** The code without strings, and the comments alone; both keep their line numbers. */
function readParts(path: string): Parts {
  const text = readFileSync(join(ROOT, path), "utf8");
  const blank = (token: string): string => token.replaceAll(/[^\n]/g, " ");
  const isComment = (token: string): boolean => token.startsWith("/*") || token.startsWith("//");
  let comments = "";
  let at = 0;
  for (const match of text.matchAll(TOKENS)) {
    comments += blank(text.slice(at, match.index)) + (isComment(match[0]) ? match[0] : blank(match[0]));
    at = match.index + match[0].length;
  }
  // A template may hold code: its words are looked at as well.
  const code = text.replaceAll(TOKENS, (token) => (token.startsWith("`") ? token : blank(token)));
  return { code, comments };
}

function found(
  paths: readonly string[],
  part: keyof Parts,
  pattern: RegExp,
  insteadOf: (match: string) => string,
): string[] {
  return paths.flatMap((path) =>
    partsOf(path)
      [part].split("\n")
      .flatMap((line, index) =>
        [...line.matchAll(pattern)].map(([match]) => `${path}:${index + 1}: ${match} → ${insteadOf(match)}`),
      ),
  );
}

const SOURCE = filesBelow("src");
const ALL = [...SOURCE, ...filesBelow("test"), ...filesBelow("scripts"), ...filesBelow("npm")];

test("no renamed identifier is left in src/, test/ or scripts/", () => {
  const names = new RegExp(`(?<![\\w$])(?:${Object.keys(RENAMED).join("|")})(?![\\w$])`, "g");
  expect(found(ALL, "code", names, (old) => RENAMED[old] ?? "")).toEqual([]);
});

test("no comment of src/ speaks the old dialect", () => {
  const spoken = DIALECT.flatMap(([pattern, instead]) =>
    found(SOURCE, "comments", new RegExp(pattern, "gi"), () => instead),
  );
  expect(spoken).toEqual([]);
});

test("no file or comment names a file of the old layout", () => {
  const named = found(ALL, "comments", new RegExp(MOVED, "g"), () => "its new name");
  expect([...named, ...ALL.filter((path) => MOVED.test(path))]).toEqual([]);
});

test("the dialect and the old names are found where they are", () => {
  const sample = partsOf("test/architecture/source.test.ts");
  expect(sample.code).toContain("filesBelow");
  expect(sample.code).not.toContain("What the linter cannot see");
  expect(sample.comments).toContain("What the linter cannot see");
  expect(sample.comments).not.toContain("filesBelow");
  for (const text of ["who has read so many bytes", "its memory is given back", "mends", "nobody is told"]) {
    expect(DIALECT.some(([pattern]) => pattern.test(text))).toBe(true);
  }
});
