/** Licenses: what is unknown, or has no text, stops a build. */

import { expect, test } from "bun:test";
import { type Bill, type Component, idsOf, problemsOf, textOfLicense } from "../../scripts/build/bill.ts";
import { noticesOf } from "../../scripts/build/notices.ts";
import { RUNTIME_PARTS } from "../../scripts/build/runtime-parts.ts";

const TEXT = { evidence: { licenses: [{ license: { text: { content: "Permission is granted." } } }] } };
const FINE: Component = {
  type: "library",
  name: "left",
  version: "1.0.0",
  licenses: [{ license: { id: "MIT" } }],
  ...TEXT,
};

test("problemsOf() finds nothing in a package with a known license and its text", () => {
  expect(problemsOf(FINE)).toEqual([]);
  expect(problemsOf({ ...FINE, licenses: [{ expression: "MIT OR Apache-2.0" }] })).toEqual([]);
});

test("problemsOf() refuses a license that is unknown, missing, or no SPDX expression", () => {
  expect(problemsOf({ ...FINE, licenses: [{ license: { id: "AGPL-3.0-only" } }] })).toEqual([
    "left 1.0.0: AGPL-3.0-only is not among the known licenses",
  ]);
  expect(problemsOf({ ...FINE, licenses: [{ expression: "MIT AND AGPL-3.0-only" }] })).toEqual([
    "left 1.0.0: AGPL-3.0-only is not among the known licenses",
  ]);
  expect(problemsOf({ ...FINE, licenses: [] })).toEqual(["left 1.0.0 names no license"]);
  expect(problemsOf({ ...FINE, licenses: [{ license: { name: "SEE LICENSE IN FILE" } }] })).toEqual([
    "left 1.0.0: SEE LICENSE IN FILE is no SPDX expression",
  ]);
});

test("problemsOf() refuses a package without the text of its license", () => {
  const { evidence: _, ...bare } = FINE;
  expect(problemsOf(bare)).toEqual(["left 1.0.0 has no file with the text of its license"]);
});

test("problemsOf() looks at the parts of the runtime, which may be under the LGPL", () => {
  const part = (license: string): Component => ({ type: "library", name: "part", licenses: [{ expression: license }] });
  const runtime: Component = { type: "platform", name: "bun", version: "1", licenses: [{ expression: "MIT" }] };
  expect(problemsOf({ ...runtime, components: [part("LGPL-2.1-only")] })).toEqual([]);
  expect(problemsOf({ ...runtime, components: [part("GPL-3.0-only")] })).toEqual([
    "part: GPL-3.0-only is not among the known licenses",
  ]);
  expect(problemsOf({ ...FINE, licenses: [{ license: { id: "LGPL-2.1-only" } }] })).not.toEqual([]);
});

test("each license of a part of the runtime has a text", () => {
  const ids = RUNTIME_PARTS.flatMap(({ license }) => idsOf(license) ?? [`no SPDX expression: ${license}`]);
  expect(ids.filter((id) => textOfLicense(id).length < 200)).toEqual([]);
  expect(() => textOfLicense("Unheard-Of-1.0")).toThrow("no text of the license Unheard-Of-1.0");
});

test("noticesOf() names each package, and has a text that several have once", () => {
  const bill: Bill = {
    bomFormat: "CycloneDX",
    metadata: { component: { type: "application", name: "mongotap", version: "0" } },
    components: [
      FINE,
      { ...FINE, name: "right", group: "@scope" },
      { type: "platform", name: "bun", version: "1", licenses: [{ expression: "MIT" }], components: [] },
    ],
    dependencies: [],
  };
  const notices = noticesOf(bill);
  expect(notices).toMatch(/^ {2}left 1\.0\.0 +MIT/m);
  expect(notices).toContain("\nleft 1.0.0, @scope/right 1.0.0\n");
  expect(notices.split("Permission is granted.").length).toBe(2);
  expect(notices).toContain("\nMIT: bun 1\n");
});
