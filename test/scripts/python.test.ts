import { expect, test } from "bun:test";
import { environmentsIn } from "../../scripts/python.ts";

test("environmentsIn() returns what a test file asks for, by name", () => {
  const code =
    'const a = builtPython("flow");\nbuiltPython("nothing such"); findPython("meltano"); builtPython("airbyte")';
  expect(environmentsIn(code)).toEqual(["airbyte", "flow"]);
});
