/** Programs of Debian that the tests of a release need. .ci/run installs them. */

import { execFileSync } from "node:child_process";

const PACKAGES = {
  skopeo: "skopeo",
  umoci: "umoci",
  rpm2cpio: "rpm2cpio",
  cpio: "cpio",
  dpkg: "dpkg",
  "dpkg-deb": "dpkg",
  rpm: "rpm",
  mmdebstrap: "mmdebstrap",
  tar: "tar",
  sh: "dash",
  bash: "bash",
  zsh: "zsh",
  fish: "fish",
  man: "man-db",
  readelf: "binutils",
  "systemd-analyze": "systemd",
};

/** Runs one of them and returns what it prints. @throws Error that names the package if it is missing */
export function tool(name: keyof typeof PACKAGES, args: readonly string[]): string {
  if (Bun.which(name) === null) {
    throw new Error(`the tests of a release need ${name}: apt-get install ${PACKAGES[name]}`);
  }
  return execFileSync(name, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1e8 });
}
