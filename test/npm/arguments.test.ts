/** What `mongotap/testing` says of arguments that it does not take, and of a server that is not there. */

import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { isConnectionString, withoutSelectionTimeout, withSelectionTimeout } from "../../npm/connection-string.ts";
import { recordChanges, startReplicaSet } from "../../npm/testing.ts";
import { CANARY } from "../support/cli.ts";
import { commandUnderTest } from "../support/command.ts";
import { rejectionOf } from "../support/rejection.ts";

/** As a caller without types. */
type Untyped = (...args: readonly unknown[]) => Promise<unknown>;
const record = recordChanges as unknown as Untyped;
const start = startReplicaSet as unknown as Untyped;

const URI = `mongodb://u:${CANARY}@127.0.0.1:29999/`;
const RECORD = "recordChanges(uri, namespaces, options)";
const START = "startReplicaSet(options)";

test.each([
  [[URI], TypeError, 'namespaces must be "db.collection", "db", or a list of these with at least one'],
  [[URI, []], TypeError, 'namespaces must be "db.collection", "db", or a list of these with at least one'],
  [[URI, ["shop", ""]], TypeError, 'namespaces must be "db.collection", "db", or a list of these with at least one'],
  [[URI, "shop", { formt: "plain" }], TypeError, 'there is no option "formt", only exclude, format, '],
  [[URI, "shop", null], TypeError, "the options must be an object"],
  [[URI, "shop", { format: "foo" }], RangeError, 'format must be "relaxed", "canonical" or "plain"'],
  [[URI, "shop", { fullDocument: true }], RangeError, 'fullDocument must be "exact", "image" or "none"'],
  [[URI, "shop", { exclude: "shop.a" }], RangeError, "exclude must be a list of texts"],
  [[URI, "shop", { timeoutMs: 0 }], RangeError, "timeoutMs must be a whole number from 1 to 2147483647"],
  [[URI, "shop", { command: [] }], RangeError, "command must be a program"],
  [[`postgres://u:${CANARY}@x`, "shop"], TypeError, "uri must be a connection string that begins with mongodb://"],
  [[undefined, "shop"], TypeError, "uri must be a connection string that begins with mongodb://"],
])("recordChanges%j is refused before anything is started", async (args, type, text) => {
  const error = await rejectionOf(record(...args));
  expect(error).toBeInstanceOf(type);
  expect(error.message).toStartWith(`${RECORD}: ${text}`);
  expect(error.message).not.toMatch(new RegExp(`\n|${CANARY}`));
});

test.each([
  [{ member: 3 }, TypeError, 'there is no option "member", only members, version, port, parameters'],
  [{ members: 2 }, RangeError, "members must be 1 or 3"],
  [{ version: 7 }, RangeError, "version must be a text"],
  [{ port: 70_000 }, RangeError, "port must be a whole number from 1 to 65535"],
  [{ parameters: { ttl: 1 } }, RangeError, "parameters must be an object with texts"],
])("startReplicaSet(%j) is refused before anything is started", async (options, type, text) => {
  const error = await rejectionOf(start(options));
  expect(error).toBeInstanceOf(type);
  expect(error.message).toBe(`${START}: ${text}`);
});

const { program, args } = commandUnderTest();
const COMMAND: [string, ...string[]] = [program, ...args];

test.each([
  [`mongodb://u:${CANARY}@127.0.0.1:99999/`, "shop", "uri: not a usable connection string: port 99999 is not between"],
  [URI, "a b/$c", '"a b/$c" is not a namespace: a database name holds none of'],
])("what the program does not take is a TypeError in the words of the function", async (uri, namespace, text) => {
  const error = await rejectionOf(recordChanges(uri, namespace, { command: COMMAND }));
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toStartWith(`${RECORD}: ${text}`);
  expect(error.message).not.toMatch(new RegExp(`\n|MONGOTAP_URI|--help|${CANARY}`));
});

test("without a server recordChanges() says which address did not answer, and why", async () => {
  const closed = createServer();
  const port = await new Promise<number>((resolve) => {
    closed.listen(0, "127.0.0.1", () => resolve((closed.address() as { port: number }).port));
  });
  await new Promise((resolve) => closed.close(resolve));
  const uri = `mongodb://u:${CANARY}@127.0.0.1:${port}/`;
  const error = await rejectionOf(recordChanges(uri, "shop", { command: COMMAND, timeoutMs: 4_000 }));
  expect(error.message).toStartWith("the server cannot be reached: cannot connect to mongodb://");
  expect(error.message).toEndWith(`127.0.0.1:${port}/: connect ECONNREFUSED 127.0.0.1:${port}`);
  expect(error.message).not.toContain(CANARY);
}, 20_000);

test.each([
  ["mongodb://h", "mongodb://h/?serverSelectionTimeoutMS=5"],
  ["mongodb://u:p@h:1,i:2/", "mongodb://u:p@h:1,i:2/?serverSelectionTimeoutMS=5"],
  ["mongodb+srv://h/db?tls=true", "mongodb+srv://h/db?tls=true&serverSelectionTimeoutMS=5"],
  ["mongodb://h?tls=true", "mongodb://h/?tls=true&serverSelectionTimeoutMS=5"],
  ["mongodb://h/?ServerSelectionTimeoutMS=9", "mongodb://h/?ServerSelectionTimeoutMS=9"],
])("the time to find a server is added to %s unless it has one", (uri, expected) => {
  expect(isConnectionString(uri)).toBe(true);
  expect(withSelectionTimeout(uri, 5)).toBe(expected);
});

test("the time that was added is in no message", () => {
  const text = `cannot connect to ${withSelectionTimeout("mongodb://h/?tls=true", 5)}: refused`;
  expect(withoutSelectionTimeout(text)).toBe("cannot connect to mongodb://h/?tls=true: refused");
});
