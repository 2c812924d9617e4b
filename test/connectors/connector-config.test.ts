/** What a connector makes of its config, and what its spec says of it: no server is needed for either. */

import { describe, expect, test } from "bun:test";
import { Ajv } from "ajv";
import type { Configured } from "../../src/connectors/connector-config.ts";
import { configure } from "../../src/connectors/connector-config.ts";
import { type Connector, CONNECTOR_OPTIONS } from "../../src/connectors/connector-options.ts";
import { loggerIn } from "../../src/connectors/platform-text.ts";
import { connectionSpecification } from "../../src/connectors/spec.ts";
import { notExcluded } from "../../src/connectors/wanted-streams.ts";
import { createLogger, type Level, type Logger, PLAIN } from "../../src/observe/log.ts";
import type { ProcessContext } from "../../src/run/invocation.ts";

interface Property {
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly description: string;
}

const CONNECTORS = Object.keys(CONNECTOR_OPTIONS) as Connector[];
const CONTEXT: ProcessContext = {
  version: "9",
  build: "",
  pid: 1,
  columns: 100,
  signal: new AbortController().signal,
  stdin: () => ({ async *[Symbol.asyncIterator]() {} }),
};
const SERVER = { uri: "mongodb://localhost/" };

function propertiesOf(connector: Connector): Readonly<Record<string, Property>> {
  return connectionSpecification(connector)["properties"] as Readonly<Record<string, Property>>;
}

function logInto(lines: string[], level: Level = "info"): Logger {
  return createLogger({ level, format: "text", paint: PLAIN, write: (line) => void lines.push(line) });
}

async function configured(connector: Connector, config: object, log = logInto([])): Promise<Configured["invocation"]> {
  const text = JSON.stringify({ ...SERVER, ...config });
  const { invocation } = await configure({ command: connector, env: {}, context: CONTEXT, log }, text, "config");
  return invocation;
}

/** What the log says of a config that is accepted. */
async function notesOn(connector: Connector, config: object): Promise<string> {
  const lines: string[] = [];
  await configured(connector, config, logInto(lines));
  return lines.join("");
}

describe.each(CONNECTORS)("%s", (connector) => {
  test("a form that fills in every default of the spec sets nothing", async () => {
    const properties = Object.entries(propertiesOf(connector));
    const defaults = Object.fromEntries(
      properties.flatMap(([name, { default: of }]) => (of === undefined ? [] : [[name, of]])),
    );
    expect(Object.keys(defaults)).toContain("maxMemory");
    expect(new Ajv({ strict: false }).compile(connectionSpecification(connector))({ ...SERVER, ...defaults })).toBe(
      true,
    );
    const [none, all] = [await configured(connector, {}), await configured(connector, defaults)];
    expect({ ...all.settings, server: undefined }).toEqual({ ...none.settings, server: undefined });
    expect(await notesOn(connector, defaults)).toBe("");
  });

  test("every setting that the spec offers counts, and no text in it names a flag", async () => {
    const settings = Object.entries(propertiesOf(connector));
    for (const [name, { enum: values, description }] of settings) {
      expect(description).not.toContain("--");
      for (const value of values ?? []) {
        const { settings: found } = await configured(connector, { [name]: value });
        expect(found).toMatchObject({ [name]: name === "onBadDocument" ? { policy: value } : value });
      }
    }
  });

  test("each description reads as in a form: with a capital, without the name of the platform or a word of a table", () => {
    const descriptions = JSON.stringify(connectionSpecification(connector)).matchAll(/"description":"([^"]*)"/g);
    const texts = [...descriptions].map(([, text = ""]) => text);
    expect(texts.length).toBeGreaterThan(20);
    for (const text of texts) {
      expect(text).toMatch(/^[A-Z]/);
      expect(text).not.toMatch(/^(Airbyte|Singer|Flow):|so many|so long|go on|quarantine|MONGOTAP_/);
    }
  });

  test("exclude and database are text with commas or a list, in which a name may have a comma", async () => {
    const check = new Ajv({ strict: false }).compile(connectionSpecification(connector));
    for (const [typed, expected] of [
      ["shop.a, shop.b,", ["shop.a", "shop.b"]],
      [
        ["shop.a", "shop.b,c"],
        ["shop.a", "shop.b,c"],
      ],
      ["", []],
      [[], []],
    ]) {
      // Forms have no field for either of two types.
      expect(check({ ...SERVER, exclude: typed })).toBe(typeof typed === "string");
      expect((await configured(connector, { exclude: typed })).settings.exclude).toEqual(expected as string[]);
    }
    for (const database of ["shop,crm", ["shop", "crm"]]) {
      expect(check({ ...SERVER, database })).toBe(typeof database === "string");
      expect((await configured(connector, { database })).namespaces).toEqual(["shop", "crm"]);
    }
    expect((await configured(connector, { namespaces: "shop.a,shop.b" })).namespaces).toEqual(["shop.a", "shop.b"]);
    await expect(configured(connector, { exclude: "a..b,.c" })).rejects.toThrow("exclude takes a namespace");
  });

  test("values without which documents would be lost in silence are refused, and not offered", async () => {
    const { fullDocument, onBadDocument } = propertiesOf(connector);
    expect([fullDocument?.enum, onBadDocument?.enum]).toEqual([
      ["exact", "image"],
      ["fail", "skip"],
    ]);
    expect(`${fullDocument?.description} ${onBadDocument?.description}`).not.toMatch(/none|quarantine/);
    const config = { fullDocument: "none", onBadDocument: "quarantine=x" };
    await expect(configured(connector, config)).rejects.toThrow(
      /fullDocument must be exact or image here.*onBadDocument must be fail or skip here$/,
    );
  });

  test("logLevel is what the config says, else what the platform asks for", async () => {
    const lines: string[] = [];
    const log = loggerIn((text) => text.toUpperCase(), logInto(lines, "warn"));
    const { log: asked } = await configured(connector, {}, log);
    const { log: debug } = await configured(connector, { logLevel: "debug" }, log);
    asked.info("nothing");
    asked.warn("warning");
    debug.debug("detail");
    expect(lines).toEqual(["mongotap: WARNING\n", "mongotap: DETAIL\n"]);
    expect(propertiesOf(connector)["logLevel"]?.default).toBeUndefined();
  });
});

test.each([
  ["airbyte", { activateVersion: "always", before: "auto", limit: 5 }],
  ["singer", { newestOnly: true, stateType: "global", before: "auto", logFormat: "json" }],
  ["flow", { columns: "data", stateType: "global", newestOnly: true, activateVersion: "always", sample: 10 }],
] as const)("%s: settings of others are a warning each, and have no effect: %j", async (connector, config) => {
  const notes = await notesOn(connector, config);
  for (const name of Object.keys(config)) {
    expect(notes).toContain(`${name} is not a setting of this connector: it has no effect\n`);
    expect(propertiesOf(connector)).not.toHaveProperty(name);
  }
  expect((await configured(connector, config)).settings).toEqual((await configured(connector, {})).settings);
});

test("only Flow, whose documents have it, asks the server for the document before a change", async () => {
  const before = async (connector: Connector, config = {}): Promise<string> =>
    (await configured(connector, config)).settings.before;
  expect([await before("airbyte"), await before("singer"), await before("flow")]).toEqual(["none", "none", "auto"]);
  expect(await before("airbyte", { before: "auto" })).toBe("none");
  expect(await before("flow", { advanced: { disablePreImages: true } })).toBe("none");
  expect(CONNECTORS.filter((connector) => "before" in propertiesOf(connector))).toEqual(["flow"]);
});

test("Flow has plain values alone", async () => {
  expect(CONNECTORS.filter((connector) => "format" in propertiesOf(connector))).toEqual(["airbyte", "singer"]);
  expect((await configured("flow", { format: "plain" })).settings.format).toBe("plain");
  for (const format of ["relaxed", "canonical"])
    await expect(configured("flow", { format })).rejects.toThrow("format must be plain here");
  expect((await configured("singer", { format: "relaxed" })).settings.format).toBe("relaxed");
});

test("a stream that is selected and excluded is refused by its name", () => {
  const stream = (collection: string) => ({ namespace: { db: "shop", collection }, wantsChanges: true });
  const both = [stream("a"), stream("b.c")];
  expect(notExcluded(both, ["other", "shop.b"], "it")).toBe(both);
  expect(() => notExcluded(both, ["shop.b.c"], "it")).toThrow("it: shop.b.c is selected, and the config excludes it");
  expect(() => notExcluded(both, ["shop"], "it")).toThrow("shop.a is selected");
});
