/** The options for which server to read from, and how to reach it. */

import type { OptionRow } from "../setting.ts";
import { compressors, sshFingerprint, sshUrl, text } from "../value-schemas.ts";

export const SOURCE_OPTIONS = {
  uri: {
    flag: "uri",
    value: "URI",
    text: "connection string of the server (a password is safer in MONGOTAP_URI or --uri-file)",
    fallback: "mongodb://127.0.0.1:27017",
    schema: text,
    secret: true,
  },
  uriFile: {
    flag: "uri-file",
    value: "FILE",
    text: "read the connection string from a file that only you can read",
    path: "whole",
    schema: text,
  },
  address: {
    flag: "address",
    value: "HOST:PORT",
    text: "the server instead of --uri, with or without mongodb:// or mongodb+srv://; user and password stand apart",
    schema: text,
  },
  user: {
    flag: "user",
    value: "NAME",
    text: "who logs in, as it is (nothing to encode)",
    schema: text,
  },
  passwordFile: {
    flag: "password-file",
    value: "FILE",
    text: "read the password of --user from a file that only you can read",
    path: "whole",
    schema: text,
  },
  password: {
    flag: "password",
    flagless: true,
    value: "PASSWORD",
    text: "the password of --user, as it is",
    schema: text,
    secret: true,
  },
  compressors: {
    flag: "compressors",
    value: "LIST",
    text: "compress what goes over the network: zstd, zlib, or both with a comma, the preferred one first",
    schema: compressors,
  },
  config: {
    flag: "config",
    value: "FILE",
    text: "read settings, or an Estuary endpoint or catalog, from YAML or JSON; sops is understood",
    path: "whole",
    noKey: true,
    schema: text,
  },
  capture: {
    flag: "capture",
    value: "NAME",
    text: "which of the `captures` in the config file",
    noKey: true,
    schema: text,
  },
  ssh: {
    flag: "ssh",
    value: "URL",
    text: "connect through this ssh server: ssh://user@host[:port]; every member of the cluster is reached from there",
    schema: sshUrl,
  },
  sshKey: {
    flag: "ssh-key",
    value: "FILE",
    text: "the private key for --ssh, in a file that only you can read; unset: the agent at SSH_AUTH_SOCK",
    path: "whole",
    schema: text,
  },
  sshPassphrase: {
    flag: "ssh-passphrase",
    flagless: true,
    value: "PASSPHRASE",
    text: "the passphrase of the private key",
    schema: text,
    secret: true,
  },
  sshKnownHosts: {
    flag: "ssh-known-hosts",
    value: "FILE",
    text: "the host keys that are trusted; unset: ~/.ssh/known_hosts",
    path: "whole",
    schema: text,
  },
  sshHostKey: {
    flag: "ssh-host-key",
    value: "SHA256:…",
    text: "trust this one host key instead, by its fingerprint",
    schema: sshFingerprint,
  },
} as const satisfies Record<string, OptionRow>;
