/** For watchdog.mongod.test.ts: starts a set and a folder, says what is there, and waits to be killed. */
import { startReplicaSet } from "../../scripts/mongod.ts";
import { tempDir } from "../support/temp.ts";

const dir = await tempDir();
const set = await startReplicaSet({ members: 3 });
set.members[1]?.suspend();
const pids = set.members.map((member) => member.pid);
const folders = [dir.path, ...set.members.map((member) => member.dbpath)];
console.log(JSON.stringify({ pids, folders }));
setInterval(() => undefined, 1_000);
