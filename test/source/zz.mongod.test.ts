import { test } from "bun:test";
import { readCursor } from "../../src/source/cursor-reply.ts";
import { idFilterElement, rawValue } from "../../src/source/raw-bson.ts";
import { never, prepare } from "./kinds.ts";
import { changedByJavaScript, insertIds } from "./raw-ids.ts";
import { oneField, int32, concat, prefixed, utf8 } from "../codec/raw-bson.ts";
test("x", async () => {
  const p = await prepare({});
  const { client, name } = p.database;
  const kinds: [string, any][] = [...Object.entries(changedByJavaScript).map(([k, m]) => [k, m(1)] as [string, any]), ["oid", {type: 7, body: new Uint8Array(12)}], ["int", {type:16, body: int32(1)}], ["code", {type: 13, body: prefixed(utf8("f()"))}], ["doc", {type: 3, body: oneField(16, int32(1))}], ["date", {type: 9, body: new Uint8Array(8)}], ["ts", {type: 17, body: new Uint8Array(8)}], ["bool", {type: 8, body: new Uint8Array(1)}], ["bin", {type:5, body: concat(int32(0), new Uint8Array(1))}],["max", {type:127, body: new Uint8Array(0)}],["min", {type:255, body: new Uint8Array(0)}],["null", {type:10, body: new Uint8Array(0)}]];
  await insertIds(client, name, "c", kinds.map(([, v]) => v));
  for (const [i, [a, v]] of kinds.entries()) for (const [b, w] of kinds.slice(i + 1)) {
    const r = await readCursor(client, p.settings.info.namespace, { find: "c", maxTimeMS: 200 }, { signal: never, rawFields: idFilterElement([v, w].map((x: any) => rawValue(x.type, x.body))) }).then((f) => f.documents.count, (e) => e.code ?? String(e).slice(-50));
    if (r !== 2) console.log(a, "+", b, r);
  }
});
