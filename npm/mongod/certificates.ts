/** Certificates for a test server, made with the `openssl` program: a CA, and a server certificate. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

const NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
const LOOPBACK = "DNS:localhost,IP:127.0.0.1,IP:::1";
const ELSEWHERE = "DNS:elsewhere.example";

export interface Certificates {
  /** The CA certificate, which a client must trust. */
  readonly caFile: string;
  /** Key and certificate of the server in one file, as mongod requires. */
  readonly serverFile: string;
}

/** Writes the files into `folder`. With `wrongHost` the server certificate is for another host than loopback. */
export async function makeCertificates(folder: string, { wrongHost = false } = {}): Promise<Certificates> {
  const names = wrongHost ? ELSEWHERE : LOOPBACK;
  await writeFile(join(folder, "server.ext"), `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  const openssl = async (args: string): Promise<unknown> => await run("openssl", args.split(" "), { cwd: folder });
  await openssl(`req -x509 ${NEW_KEY} -days 30 -subj /CN=mongotap-test-authority -keyout ca.key -out ca.pem`);
  await openssl(`req ${NEW_KEY} -subj /CN=mongotap-test-server -keyout server.key -out server.csr`);
  const signing = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile server.ext";
  await openssl(`x509 -req -in server.csr ${signing} -out server.crt`);
  const parts = await Promise.all(["server.key", "server.crt"].map((name) => readFile(join(folder, name), "utf8")));
  await writeFile(join(folder, "server.pem"), parts.join(""), { mode: 0o600 });
  return { caFile: join(folder, "ca.pem"), serverFile: join(folder, "server.pem") };
}
