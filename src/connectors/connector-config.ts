/** The settings of a connector, from the config that its platform gives to it. */

import type { SettingsOf } from "../config/options.ts";
import { connectionStringOf } from "../config/server.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import { resolveRun } from "../config/resolve.ts";
import { MongotapError } from "../errors.ts";
import type { Logger } from "../observe/log.ts";
import type { Invocation, ProcessContext } from "../run/invocation.ts";
import { type Connector, CONNECTOR_OPTIONS, type ConnectorSetting, SERVER_SETTINGS } from "./connector-options.ts";

export type ConnectorSettings = SettingsOf<ConnectorSetting>;

/** A call of a connector. */
export interface ConnectorCall {
  readonly command: Connector;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly context: ProcessContext;
  readonly log: Logger;
}

export interface Configured {
  readonly invocation: Invocation<ConnectorSettings>;
  readonly target: ConnectionString;
}

/**
 * Reads `text`, JSON or YAML, which `name` names in messages.
 * @throws MongotapError `config` with all problems
 */
export async function configure(
  { command, env, context, log }: ConnectorCall,
  text: string,
  name: string,
): Promise<Configured> {
  const { offered, defaults, values } = CONNECTOR_OPTIONS[command];
  const options = [...SERVER_SETTINGS, ...offered];
  const platform = { text, name, defaults: { ...defaults, logLevel: log.level }, values };
  const found = await resolveRun({ command, options, flags: {}, namespaces: [], env, platform });
  const { settings, namespaces, targets, secrets, notes } = found;
  log.hide(secrets);
  const own = log.at(settings.logLevel);
  for (const note of notes) own.warn(note);
  if (settings.server.at.level === "default") {
    throw new MongotapError("config", `${name} names no server`, { hint: "Set uri, or address." });
  }
  const target = await connectionStringOf(settings);
  log.hide(target.secrets);
  return { invocation: { command, namespaces, targets, settings, log: own, context }, target };
}
