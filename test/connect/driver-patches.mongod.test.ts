import { expect, test } from "bun:test";
import { connect } from "../../src/connect/client.ts";
import { parseConnectionString } from "../../src/connect/connection-string.ts";
import { startProxy } from "../support/proxy.ts";
import { rejectionOf } from "../support/rejection.ts";
import { sharedReplicaSet } from "../support/replica-set.ts";
import { waitFor } from "../support/wait.ts";

const never = new AbortController().signal;
/** More than the buffers of two sockets hold. */
const COMMENT = "x".repeat(12_000_000);

test("a command that cannot be written fails once the monitor finds the server dead, and a later one succeeds", async () => {
  const { uri } = await sharedReplicaSet();
  await using proxy = await startProxy({ port: Number(/:(\d+)\//.exec(uri)?.[1]) });
  const limits = "maxPoolSize=1&heartbeatFrequencyMS=500&connectTimeoutMS=500";
  const through = `mongodb://127.0.0.1:${proxy.port}/?directConnection=true&${limits}`;
  await using connection = await connect(parseConnectionString(through, "the test"), "test", never);
  const admin = connection.client.db("admin");
  proxy.blackhole(true);
  const error = await rejectionOf(admin.command({ ping: 1, comment: COMMENT }));
  expect(error.message).toMatch(/interrupted due to server monitor timeout/);
  proxy.blackhole(false);
  const ping = (): Promise<boolean> =>
    admin.command({ ping: 1 }).then(
      ({ ok }) => ok === 1,
      () => false,
    );
  await waitFor(ping, { what: "an answer" });
});
