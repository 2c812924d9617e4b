import { expect, test } from "bun:test";
import * as v from "valibot";
import { shard } from "../../src/config/value-schemas.ts";
import { configOf } from "./configs.ts";

test.each([
  ["0/1", 0, 1],
  ["0/3", 0, 3],
  ["2/3", 2, 3],
  ["9998/9999", 9_998, 9_999],
  ["007/0010", undefined, undefined],
  ["007/10", 7, 10],
])("a shard is typed %s", (typed, index, of) => {
  const result = v.safeParse(shard, typed);
  expect(result.success ? result.output : undefined).toEqual(
    index === undefined || of === undefined ? undefined : { index, of },
  );
});

test.each([
  "",
  "1",
  "/",
  "1/",
  "/3",
  "3/3",
  "4/3",
  "0/0",
  "-1/3",
  "+1/3",
  "a/b",
  "1/3/3",
  "1 /3",
  " 1/3",
  "1/3\n",
  "0/99999",
  "0.5/3",
  "1e1/20",
])("%p is no shard", (typed) => {
  const result = v.safeParse(shard, typed);
  expect(result.success).toBe(false);
  expect(result.issues?.map(({ message }) => message)).toEqual([expect.stringContaining("takes I/N")] as never);
});

test("MONGOTAP_SHARD gives the shard, as in a Job of Kubernetes, beside the ranges of a config file", async () => {
  await using config = await configOf("namespaces: [shop]\nranges: cuts\n");
  const { settings } = await config.resolve({ command: "backfill", env: { MONGOTAP_SHARD: "3/8" } });
  expect(settings).toMatchObject({ shard: { index: 3, of: 8 }, ranges: config.dir.join("cuts") });
});
