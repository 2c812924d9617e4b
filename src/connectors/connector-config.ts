/** The settings of a connector, from the config that its platform gives to it. */

import type { OptionName, SettingsOf } from "../config/options.ts";
import { connectionStringOf } from "../config/server.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import { resolveRun } from "../config/resolve.ts";
import { MongotapError } from "../errors.ts";
import type { Logger } from "../observe/log.ts";
import type { Invocation, ProcessContext } from "../run/invocation.ts";
import { CONNECTOR_SETTINGS } from "./spec.ts";

const SERVER = ["uri", "address", "user", "password", "sshKnownHosts", "sshHostKey", "sshPassphrase", "ssh"] as const;
const OWN = ["columns", "stateType", "newestOnly", "activateVersion"] as const;
const OPTIONS = [...SERVER, ...CONNECTOR_SETTINGS, ...OWN] as const satisfies readonly OptionName[];

export type ConnectorSettings = SettingsOf<(typeof OPTIONS)[number]>;

/** A call of a connector. */
export interface ConnectorCall {
  /** The protocol. */
  readonly command: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly context: ProcessContext;
  readonly log: Logger;
}

export interface Configured {
  readonly invocation: Invocation<ConnectorSettings>;
  readonly target: ConnectionString;
}

/**
 * Reads `text`, JSON or YAML, which `name` names in messages. `defaults` are those that differ from the table of options.
 * @throws MongotapError `config` with all problems
 */
export async function configure(
  { command, env, context, log }: ConnectorCall,
  text: string,
  name: string,
  defaults: Readonly<Partial<Record<OptionName, string>>>,
): Promise<Configured> {
  const platform = { text, name, defaults: { format: "plain", ...defaults } };
  const found = await resolveRun({ command, options: OPTIONS, flags: {}, namespaces: [], env, platform });
  const { settings, namespaces, targets, secrets, notes } = found;
  log.hide(secrets);
  for (const note of notes) log.warn(note);
  if (settings.server.at.level === "default") {
    throw new MongotapError("config", `${name} names no server`, { hint: "It takes uri, or address." });
  }
  if (settings.onBadDocument.policy === "quarantine") {
    throw new MongotapError("config", `${name}: onBadDocument takes fail or skip here: a connector has no files`);
  }
  const target = await connectionStringOf(settings);
  log.hide(target.secrets);
  return { invocation: { command, namespaces, targets, settings, log, context }, target };
}
