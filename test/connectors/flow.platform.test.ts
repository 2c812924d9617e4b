/** What `mongotap flow` says, checked against the models of the protocol in Estuary's `estuary-cdk`. */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { BSON, BSONRegExp, Binary, Decimal128, type Document, Long, MinKey, Timestamp } from "mongodb";
import { requirePython } from "../../scripts/python.ts";
import { testDatabase } from "../support/replica-set.ts";
import { bindingRequests, FlowCapture, type Json } from "./flow-runtime.ts";

const python = join(requirePython("flow"), "python");

interface Verdict {
  readonly counts: Readonly<Record<string, number>>;
  readonly errors: readonly string[];
}

function check(lines: readonly string[]): Verdict {
  const script = join(import.meta.dirname, "flow_models.py");
  const input = lines.map((line) => `${line}\n`).join("");
  const { stdout, stderr, status } = spawnSync(python, [script], { input, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Verdict;
}

const VALUES: Document = {
  binary: new Binary(Buffer.from([1, 2, 3]), 4),
  date: new Date(0),
  decimal: Decimal128.fromString("1.50"),
  long: Long.fromString("9007199254740993"),
  double: new BSON.Double(1e300),
  nan: Number.NaN,
  regex: new BSONRegExp("a", "i"),
  time: new Timestamp({ t: 1, i: 2 }),
  lowest: new MinKey(),
  nested: { a: [{ b: null }] },
  'quoted " name': "line\u2028 \u0000 end",
};

describe("a transcript of a capture", () => {
  test("has messages of the protocol alone, with all their fields; while nothing changes it has fresh checkpoints", async () => {
    const { uri, db, name } = await testDatabase();
    const orders = await db.createCollection<Document>("orders", { changeStreamPreAndPostImages: { enabled: true } });
    await orders.insertMany(Array.from({ length: 50 }, (_, i) => ({ _id: i as never, ...VALUES })));
    const bound = { database: name, collection: "orders" };
    const capture = new FlowCapture({ config: { uri, database: name } });
    const { config } = capture.options;
    await capture.ask({ discover: { connectorType: "LOCAL", config } });
    await capture.ask({ validate: { name: "acmeCo/m", config, bindings: bindingRequests([bound], false) } });
    await capture.ask({ apply: { capture: { name: "acmeCo/m", config, bindings: [] }, version: "1" } });
    await using session = await capture.open([bound]);
    await session.until(() => capture.of(bound).size === 50, "the copy");
    await orders.updateOne({ _id: 1 as never }, { $set: { changed: true } });
    await orders.replaceOne({ _id: 2 as never }, { replaced: true });
    await orders.insertOne({ _id: { b: 1, a: [1.5] } as never, ...VALUES });
    await orders.deleteOne({ _id: 3 as never });
    await session.until(() => !capture.of(bound).has("3") && capture.of(bound).size === 50, "the changes");
    const tokenOf = ({ state }: FlowCapture): unknown => (state["stream"] as Json)["token"];
    const [token, checkpoints] = [tokenOf(capture), session.checkpoints];
    await session.until(() => tokenOf(capture) !== token, "a checkpoint of an idle capture");
    expect(session.checkpoints).toBeGreaterThan(checkpoints);
    await session.end();
    const { counts, errors } = check(capture.transcript);
    expect(errors).toEqual([]);
    expect(counts).toMatchObject({ spec: 4, discovered: 1, validated: 1, applied: 1, opened: 1, captured: 54 });
    expect(counts["checkpoint"]).toBe(session.checkpoints);
  });

  test("is refused by the models where a message has an unknown field, lacks one, or has one of another type", () => {
    const bad = [
      { opened: { explicitAcknowledgements: true, more: 1 } },
      { sealed: {} },
      { checkpoint: { state: { updated: {} } } },
      { captured: { binding: "0", doc: {} } },
      { discovered: { bindings: [{ recommendedName: "a/b", resourceConfig: { database: "a" }, key: [] }] } },
    ];
    const { counts, errors } = check(bad.map((message) => JSON.stringify(message)));
    expect([counts, errors.length]).toEqual([{}, bad.length]);
  });
});
