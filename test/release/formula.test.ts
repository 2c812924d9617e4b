import { expect, test } from "bun:test";
import { formula } from "../../scripts/release/formula.ts";

const TARGETS = ["macos-arm64", "macos-x64", "linux-arm64", "linux-x64"];
const ARCHIVES = new Map(
  TARGETS.map((target, number) => [target, { name: `${target}.tar.gz`, sha256: String(number).repeat(64) }] as const),
);

test("the formula has the address and the digest of the archive for each system and processor", () => {
  const text = formula({ version: "1.2.3", url: "https://example.com/v1", archives: ARCHIVES });
  const pairs = [...text.matchAll(/url "(.+)"\n +sha256 "(.+)"/g)].map(([, url, sha256]) => [url, sha256]);
  expect(pairs).toEqual(
    TARGETS.map((target, number) => [`https://example.com/v1/${target}.tar.gz`, String(number).repeat(64)]),
  );
});

test("formula() throws where an archive is missing", () => {
  const archives = new Map([...ARCHIVES].slice(1));
  expect(() => formula({ version: "1", url: "https://example.com", archives })).toThrow("macos-arm64");
});
