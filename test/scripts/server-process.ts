/** For watchdog.mongod.test.ts: starts servers, makes a folder, prints their pids and paths, and waits to be killed. */
import { startReplicaSet, startStandalone } from "../../scripts/mongod.ts";
import { tempDir } from "../support/temp.ts";

const dir = await tempDir();
const set = await startReplicaSet({ members: 1 });
const other = await startStandalone();
other.members[0].suspend();
const members = [...set.members, ...other.members];
const pids = members.map((member) => member.pid);
const folders = [dir.path, ...members.map((member) => member.dbpath)];
console.log(JSON.stringify({ pids, folders }));
setInterval(() => undefined, 1_000);
