/** `mongotap check`: tries everything that a run needs, one by one, and prints the remedy for what fails. */

import type { Check, NamedFinding } from "../check/finding.ts";
import { localChecks } from "../check/local.ts";
import { privilegeChecks } from "../check/privileges.ts";
import { connectionChecks, serverChecks } from "../check/server.ts";
import type { Settings } from "../config/options.ts";
import { connectionStringOf } from "../config/server.ts";
import { connect } from "../connect/client.ts";
import { effectiveOptions } from "../connect/connection-string.ts";
import { MongotapError, POLICY } from "../errors.ts";
import { type ConnectionSettings, openTunnelOf } from "../run/connection.ts";
import type { Invocation } from "../run/invocation.ts";
import { targetOf } from "../run/output.ts";
import { selectBindings, type SelectionSettings } from "../run/selection.ts";
import type { Command } from "./command.ts";
import { print } from "./print.ts";

type CheckSettings = ConnectionSettings & SelectionSettings & Pick<Settings, "out" | "state" | "as">;

export const check: Command<CheckSettings> = async (invocation) => {
  const findings = await findAll(invocation);
  const isJson = invocation.settings.as === "json";
  await print(isJson ? `${JSON.stringify({ checks: findings })}\n` : textOf(findings));
  const failed = findings.find((finding) => finding.verdict === "fail");
  return failed?.kind === undefined ? 0 : POLICY[failed.kind].exit;
};

/** What a run with these settings would meet, part by part. */
export async function findAll(invocation: Invocation<Omit<CheckSettings, "as">>): Promise<readonly NamedFinding[]> {
  const { settings, log, context } = invocation;
  const target = targetOf(settings.out);
  const local = await runAll(
    localChecks({ state: settings.state, output: target.kind === "stdout" ? undefined : target.path }),
  );
  const bindings = selectBindings(invocation);
  const uri = await connectionStringOf(settings);
  log.hide(uri.secrets);
  let tunnelFindings: readonly NamedFinding[] = [];
  let step = "tunnel";
  try {
    await using tunnel = await openTunnelOf(invocation);
    if (tunnel !== undefined) {
      tunnelFindings = [
        { name: "tunnel", verdict: "ok", detail: tunnel.shown },
        { name: "host key", verdict: "ok", detail: tunnel.hostKey },
      ];
    }
    step = "reachability";
    await using connection = await connect(uri, "mongotap", context.signal, tunnel);
    const { client, server } = connection;
    const reached: NamedFinding = { name: "reachability", verdict: "ok", detail: uri.shown };
    const options: NamedFinding = { name: "options", verdict: "ok", detail: effectiveOptions(uri).join(", ") };
    const remote = [
      ...connectionChecks(client),
      ...serverChecks(client, server, bindings),
      ...privilegeChecks(client, bindings),
    ];
    return [...tunnelFindings, reached, options, ...(await runAll(remote)), ...local];
  } catch (error) {
    if (!(error instanceof MongotapError)) throw error;
    return [
      ...tunnelFindings,
      { name: failedStep(step, error), verdict: "fail", detail: error.message, remedy: error.hint, kind: error.kind },
      ...local,
    ];
  }
}

/** A server that answers with a refusal is reachable: the login or the certificate has failed. */
function failedStep(step: string, error: MongotapError): string {
  if (step !== "reachability") return step;
  if (error.kind === "auth") return "login";
  return /certificate|altnames|TLS|SSL/i.test(error.message) ? "TLS" : step;
}

/** Runs the checks one after another, so that they add little load to a slow server. */
async function runAll(checks: readonly Check[]): Promise<NamedFinding[]> {
  const findings: NamedFinding[] = [];
  for (const { name, run } of checks) {
    try {
      findings.push({ name, ...(await run()) });
    } catch (error) {
      if (!(error instanceof MongotapError)) throw error;
      findings.push({ name, verdict: "fail", detail: error.message, remedy: error.hint, kind: error.kind });
    }
  }
  return findings;
}

const MARK = { ok: "✓", warn: "!", fail: "✗" } as const;

function textOf(findings: readonly NamedFinding[]): string {
  const width = Math.max(...findings.map((finding) => finding.name.length));
  const printed = new Set<string>();
  const lines = findings.map(({ name, verdict, detail, remedy }) => {
    const line = `${MARK[verdict]} ${name.padEnd(width)}  ${detail}`;
    if (remedy === undefined || remedy === "" || printed.has(remedy)) return line;
    printed.add(remedy);
    return `${line}\n${remedy
      .split("\n")
      .map((text) => `    ${text}`)
      .join("\n")}`;
  });
  return `${lines.join("\n")}\n`;
}
