/** Certificates for a test server, made with the `openssl` program: an own authority, and a server certificate. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const EC_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const LOOPBACK = "DNS:localhost,IP:127.0.0.1,IP:::1";

export interface Certificates {
  /** The certificate of the authority: what a client must trust. */
  readonly caFile: string;
  /** Key and certificate of the server in one file, as mongod wants them. */
  readonly serverFile: string;
}

/** Writes the files into `folder`. With `wrongHost` the server certificate is for another host than loopback. */
export async function makeCertificates(folder: string, { wrongHost = false } = {}): Promise<Certificates> {
  const at = (name: string): string => join(folder, name);
  const caFile = at("ca.pem");
  await writeFile(at("server.ext"), `subjectAltName=${wrongHost ? "DNS:elsewhere.example" : LOOPBACK}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  await run("openssl", ["req", "-x509", ...EC_KEY, "-days=30", "-subj=/CN=mongotap test authority", "-keyout", at("ca.key"), "-out", caFile].flatMap(splitOption));
  await run("openssl", ["req", ...EC_KEY, "-subj=/CN=mongotap test server", "-keyout", at("server.key"), "-out", at("server.csr")].flatMap(splitOption));
  await run("openssl", ["x509", "-req", "-in", at("server.csr"), "-CA", caFile, "-CAkey", at("ca.key"), "-CAcreateserial", "-days=30", "-extfile", at("server.ext"), "-out", at("server.crt")].flatMap(splitOption));
  const serverFile = at("server.pem");
  await writeFile(serverFile, `${await readFile(at("server.key"), "utf8")}${await readFile(at("server.crt"), "utf8")}`, { mode: 0o600 });
  return { caFile, serverFile };
}

/** openssl does not take `-name=value`; written so that each option stays one readable word. */
function splitOption(word: string): string[] {
  const match = /^(-[a-z]+)=(.*)$/.exec(word);
  return match === null ? [word] : [match[1] ?? "", match[2] ?? ""];
}
