/**
 * Downloads one mongod with `mongodb-memory-server-core` and prints its path. A process of its own, because the
 * package has no time limit: `download.ts` watches the bytes arrive and ends this process when none do.
 */
import { MongoBinary } from "mongodb-memory-server-core";

const [version, folder] = process.argv.slice(2);
if (version === undefined || folder === undefined) throw new Error("usage: download-child.ts VERSION FOLDER");
process.env["MONGOMS_MAX_RETRIES"] = "0";
process.env["MONGOMS_RUNTIME_DOWNLOAD"] = "true";
delete process.env["MONGOMS_SYSTEM_BINARY"];
try {
  console.log(await MongoBinary.getPath({ version, downloadDir: folder }));
} catch (error) {
  // The first line names the address, the second the reason.
  console.error(error instanceof Error ? error.message.replaceAll("\n", " ") : String(error));
  process.exit(1);
}
