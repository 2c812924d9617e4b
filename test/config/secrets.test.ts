import { describe, expect, test } from "bun:test";
import { chmod, mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectionStringOf } from "../../src/config/server.ts";
import { CANARY } from "../support/cli.ts";
import { type Config, configOf } from "./configs.ts";

const PLAIN = `address: h\nuser: u\npassword: ${CANARY}\nnamespaces: [a]\n`;

async function message(config: Config, how?: Parameters<Config["refused"]>[0]): Promise<string> {
  const error = await config.refused(how);
  expect(`${error.message}${error.hint}${error.stack}`).not.toContain(CANARY);
  return error.message;
}

describe("only its owner may read a config file with a secret in plain text", () => {
  test("it is fine with mode 0600", async () => {
    await using config = await configOf(PLAIN);
    expect((await config.resolve()).settings.server.password?.text).toBe(CANARY);
  });

  test.each([0o644, 0o640, 0o660, 0o602])("mode %o is refused, with the remedy", async (mode) => {
    await using config = await configOf(PLAIN);
    await chmod(config.path, mode);
    expect(await message(config)).toBe(
      `${config.path}:3: password stands in plain text in a file that can be read by others (mode 0${mode.toString(8)}): chmod 600 ${config.path}`,
    );
  });

  test.each([
    ["a password in a connection string", `uri: mongodb://u:${CANARY}@h/\nnamespaces: [a]\n`],
    ["a password in an address", `address: mongodb://u:${CANARY}@h/\nnamespaces: [a]\n`],
    [
      "a private key",
      `address: h\nnetworkTunnel:\n  sshForwarding:\n    sshEndpoint: ssh://a@b\n    privateKey: ${CANARY}\n`,
    ],
    ["half a secret", `address: h\nuser: u\npassword: ${CANARY}\${X}\n`],
  ])("%s counts", async (_, text) => {
    await using config = await configOf(text);
    await chmod(config.path, 0o644);
    expect(await message(config, { env: { X: "y" } })).toContain(
      "stands in plain text in a file that can be read by others",
    );
  });

  test.each([
    ["no secret", "address: h\nnamespaces: [a]\n"],
    ["a variable", "address: h\nuser: u\npassword: ${PW}\nnamespaces: [a]\n"],
    ["a variable in a connection string", "uri: mongodb://u:${PW}@h/\nnamespaces: [a]\n"],
    ["a file", "address: h\nuser: u\npassword: file:pw\nnamespaces: [a]\n"],
  ])("%s is fine in a file that all can read, link or not", async (_, text) => {
    await using config = await configOf(text, { pw: CANARY });
    await chmod(config.path, 0o644);
    await config.resolve({ env: { PW: CANARY } });
    await symlink(config.path, config.dir.join("link.yaml"));
    await config.resolve({ env: { PW: CANARY }, flags: { config: config.dir.join("link.yaml") } });
  });

  test("a symbolic link is refused", async () => {
    await using config = await configOf(PLAIN);
    await symlink(config.path, config.dir.join("link.yaml"));
    expect(await message(config, { flags: { config: config.dir.join("link.yaml") } })).toContain(
      "reached by a symbolic link",
    );
  });

  test("so is a folder that others may write to, unless it is one like /tmp", async () => {
    await using config = await configOf(PLAIN);
    await chmod(config.dir.path, 0o770);
    expect(await message(config)).toContain(
      `can be replaced by others, who may write to its folder: chmod go-w ${config.dir.path}`,
    );
    await chmod(config.dir.path, 0o1777);
    await config.resolve();
  });

  test("the file of an endpoint config is held to the same", async () => {
    await using config = await configOf("config: ep.yaml\nnamespaces: [a]", {
      "ep.yaml": PLAIN.replace(/namespaces.*\n/, ""),
    });
    await chmod(config.dir.join("ep.yaml"), 0o644);
    expect(await message(config)).toContain(`chmod 600 ${config.dir.join("ep.yaml")}`);
  });

  test("it is reported together with all other problems", async () => {
    await using config = await configOf(`${PLAIN}formt: x\n`);
    await chmod(config.path, 0o644);
    expect(await message(config)).toMatch(/formt is not a setting.*; .*password stands in plain text/);
  });
});

describe("files that hold a secret only", () => {
  test("others must not read them", async () => {
    await using config = await configOf("address: h\nuser: u\npassword: file:pw\nnamespaces: [a]\n", { pw: CANARY });
    await chmod(config.dir.join("pw"), 0o640);
    expect(await message(config)).toContain(`the file ${config.dir.join("pw")} can be read by others (mode 0640)`);
  });

  test("they may be links, as containers mount them", async () => {
    await using config = await configOf("address: h\nuser: u\npassword: file:pw\nnamespaces: [a]\n", {
      "..data/pw": CANARY,
    });
    await symlink("..data/pw", config.dir.join("pw"));
    expect((await config.resolve()).settings.server.password?.text).toBe(CANARY);
  });

  test("--password-file and --uri-file", async () => {
    await using config = await configOf("namespaces: [a]");
    const file = config.dir.join("pw");
    await writeFile(file, `${CANARY}\n`, { mode: 0o600 });
    const flags = { "password-file": file, user: "u@x", address: "h:1" };
    const { settings } = await config.resolve({ flags });
    const found = await connectionStringOf(settings);
    expect(found.uri).toBe(`mongodb://u%40x:${CANARY}@h:1/?w=majority&readPreference=primaryPreferred`);
    expect(found.secrets).toContain(CANARY);
    expect(found.shown).toBe("mongodb://h:1/");
    await chmod(file, 0o604);
    await expect(connectionStringOf(settings)).rejects.toThrow(`--password-file ${file} can be read by others`);
    await rename(file, join(config.dir.path, "gone"));
    await expect(connectionStringOf(settings)).rejects.toThrow(`--password-file ${file} cannot be read`);
    await mkdir(file);
    await expect(connectionStringOf(settings)).rejects.toThrow(`--password-file ${file} is a folder`);
    await writeFile(join(config.dir.path, "empty"), "\n", { mode: 0o600 });
    const empty = await config.refused({ flags: { ...flags, "password-file": join(config.dir.path, "empty") } });
    expect(empty.message).toContain("is empty");
  });
});

describe("the choice of server and login", () => {
  async function uri(text: string, how: Parameters<Config["resolve"]>[0]): Promise<string> {
    await using config = await configOf(text);
    const { settings } = await config.resolve(how);
    return (await connectionStringOf(settings)).uri.replace("?w=majority&readPreference=primaryPreferred", "");
  }
  const FILE = `address: file.example\nuser: fu\npassword: fp\nnamespaces: [a]`;

  test("the highest level that names a server", async () => {
    expect(await uri(FILE, {})).toBe("mongodb://fu:fp@file.example/");
    expect(await uri("namespaces: [a]", {})).toBe("mongodb://127.0.0.1:27017/");
    expect(await uri("uri: mongodb://x/db?appName=y\nnamespaces: [a]", {})).toBe(
      "mongodb://x/db?appName=y&w=majority&readPreference=primaryPreferred",
    );
    const env = { MONGOTAP_ADDRESS: "env.example", MONGOTAP_USER: "eu", MONGOTAP_PASSWORD: "e:p" };
    expect(await uri(FILE, { env })).toBe("mongodb://eu:e%3Ap@env.example/");
    expect(await uri(FILE, { env, flags: { uri: "mongodb://flag.example" } })).toBe("mongodb://eu:e%3Ap@flag.example/");
  });

  test("user and password of a file are never sent to a server that it does not name", async () => {
    await using config = await configOf(FILE);
    const { settings, notes } = await config.resolve({ flags: { uri: "mongodb://elsewhere" } });
    const { uri: found, secrets } = await connectionStringOf(settings);
    expect(found).toStartWith("mongodb://elsewhere/?");
    expect(secrets).toEqual([]);
    expect(notes).toEqual([
      "--uri names another server than the config file: user and password of the file are not used for it",
    ]);
  });

  test("a variable that replaces the server of the file gives a warning, a flag does not", async () => {
    await using config = await configOf("address: h\nnamespaces: [a]");
    const { notes } = await config.resolve({ env: { MONGOTAP_URI: "mongodb://elsewhere" } });
    expect(notes).toEqual(["MONGOTAP_URI names the server: the one in the config file is not used"]);
    expect((await config.resolve({ flags: { uri: "mongodb://elsewhere" } })).notes).toEqual([]);
  });

  test("a password from the environment is for the server of the file", async () => {
    expect(await uri("address: h\nuser: u\nnamespaces: [a]", { env: { MONGOTAP_PASSWORD: "p/w" } })).toBe(
      "mongodb://u:p%2Fw@h/",
    );
    expect(await uri("uri: mongodb://u@h\nnamespaces: [a]", { env: { MONGOTAP_PASSWORD: "p" } })).toBe(
      "mongodb://u:p@h/",
    );
  });

  test.each([
    ["address: h\nuri: mongodb://h\nnamespaces: [a]", {}, "both name the server: say one of them"],
    [FILE, { flags: { uri: "mongodb://a", "uri-file": "x" } }, "--uri and --uri-file both name the server"],
    [
      FILE,
      { env: { MONGOTAP_PASSWORD: "a", MONGOTAP_PASSWORD_FILE: "b" } },
      "MONGOTAP_PASSWORD and MONGOTAP_PASSWORD_FILE both give the password",
    ],
  ])("two values at one level are a problem %#", async (text, how, says) => {
    await using config = await configOf(text);
    expect((await config.refused(how)).message).toContain(says);
  });

  test.each([
    [{ MONGOTAP_PASSWORD: CANARY }, "mongodb://h", "MONGOTAP_PASSWORD gives a password, but there is no user"],
    [{ MONGOTAP_PASSWORD: CANARY }, `mongodb://u:x@h`, "the password stands both in --uri and in MONGOTAP_PASSWORD"],
    [{ MONGOTAP_USER: "v" }, `mongodb://u:${CANARY}@h`, "the user name stands both in --uri and in MONGOTAP_USER"],
  ])("a login that is given twice or incomplete is a problem %#", async (env, typed, says) => {
    await using config = await configOf("namespaces: [a]");
    const error = await config.refused({ env, flags: { uri: typed } });
    expect(error.message).toBe(says);
    expect(error.stack).not.toContain(CANARY);
  });

  test("an address as Estuary takes it: with or without scheme, its path means nothing", async () => {
    expect(await uri("address: mongodb+srv://c.example/db?authSource=x\nnamespaces: [a]", {})).toBe(
      "mongodb+srv://c.example/?authSource=x&w=majority&readPreference=primaryPreferred",
    );
    expect(await uri("address: a:1,b:2\nnamespaces: [a]", {})).toBe("mongodb://a:1,b:2/");
    expect(await uri("address: ' h:1?replicaSet=rs '\nnamespaces: [a]", {})).toBe(
      "mongodb://h:1/?replicaSet=rs&w=majority&readPreference=primaryPreferred",
    );
    await using other = await configOf("address: postgres://h\nnamespaces: [a]");
    expect((await other.refused()).message).toBe(
      `${other.path}:1: address: not a usable connection string: it does not begin with mongodb:// or mongodb+srv://`,
    );
  });
});
