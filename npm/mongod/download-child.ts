/**
 * Downloads one mongod with `mongodb-memory-server-core` and prints its path. A process of its own, because the
 * package has no time limit: `download.ts` kills this process when no more bytes arrive.
 */
const [version, folder] = process.argv.slice(2);
if (version === undefined || folder === undefined) throw new Error("usage: download-child VERSION FOLDER");
// The number of attempts, despite the name: with 0 there is no request.
process.env["MONGOMS_MAX_RETRIES"] = "1";
process.env["MONGOMS_RUNTIME_DOWNLOAD"] = "true";
delete process.env["MONGOMS_SYSTEM_BINARY"];
try {
  const { MongoBinary } = await import("mongodb-memory-server-core").catch(() => {
    throw new Error("it is not installed: npm install --save-dev mongodb-memory-server-core");
  });
  console.log(await MongoBinary.getPath({ version, downloadDir: folder }));
} catch (error) {
  // The first line has the URL, which does not help, the second the reason.
  const message = error instanceof Error ? error.message : String(error);
  console.error(message.replace(/ for url "[^"]*", Details:/, ":").replaceAll("\n", " "));
  process.exit(1);
}
