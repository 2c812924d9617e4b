/** The rows of THE table (options.ts) that say where to read from, and what. */

import type { OptionRow } from "./option-row.ts";
import { namespace, text } from "./values.ts";

export const SOURCE_OPTIONS = {
  uri: {
    flag: "uri",
    value: "URI",
    group: "source",
    text: "connection string of the server (a password is safer in MONGOTAP_URI or --uri-file)",
    fallback: "mongodb://127.0.0.1:27017",
    schema: text,
    secret: true,
  },
  uriFile: {
    flag: "uri-file",
    value: "FILE",
    group: "source",
    text: "read the connection string from a file that only you can read",
    path: "whole",
    schema: text,
  },
  address: {
    flag: "address",
    value: "HOST:PORT",
    group: "source",
    text: "the server instead of --uri, with or without mongodb:// or mongodb+srv://; user and password stand apart",
    schema: text,
  },
  user: {
    flag: "user",
    value: "NAME",
    group: "source",
    text: "who logs in, as it is (nothing to encode)",
    schema: text,
  },
  passwordFile: {
    flag: "password-file",
    value: "FILE",
    group: "source",
    text: "read the password of --user from a file that only you can read",
    path: "whole",
    schema: text,
  },
  password: {
    flag: "password",
    flagless: true,
    value: "PASSWORD",
    group: "source",
    text: "the password of --user, as it is",
    schema: text,
    secret: true,
  },
  config: {
    flag: "config",
    value: "FILE",
    group: "source",
    text: "read settings, or an Estuary endpoint or catalog, from YAML or JSON; sops is understood",
    path: "whole",
    noKey: true,
    schema: text,
  },
  capture: {
    flag: "capture",
    value: "NAME",
    group: "source",
    text: "which of the `captures` in the config file",
    noKey: true,
    schema: text,
  },
  collectionsFile: {
    flag: "collections-file",
    value: "FILE",
    group: "what",
    text: "CSV without a header: one db.collection, db,collection or db on each row",
    path: "whole",
    schema: text,
  },
  exclude: {
    flag: "exclude",
    value: "NAMESPACE",
    group: "what",
    text: "leave this out of a database that is read as a whole; may be given more than once",
    repeatable: true,
    schema: namespace,
  },
} as const satisfies Record<string, OptionRow>;
