/**
 * `mongotap flow`: a capture connector of Estuary's Flow, by its JSON protocol on standard input and output.
 * https://github.com/estuary/flow/blob/master/go/protocols/capture/capture.proto
 */

import type { OptionName } from "../config/options.ts";
import { type ConnectorCall, type Configured, configure } from "../connectors/connector-config.ts";
import {
  acknowledgedBy,
  readBindings,
  captureOf,
  configOf,
  type FlowBinding,
  parseRequest,
  type Request,
  type RequestKind,
  stateOf,
} from "../connectors/flow/requests.ts";
import { capture, Checkpoints } from "../connectors/flow/session.ts";
import { MessageOutput } from "../connectors/message-output.ts";
import { connectionSpecification, RESOURCE_SCHEMA } from "../connectors/spec.ts";
import { streamObstacle } from "../discover/catalog.ts";
import { flowBinding } from "../discover/as-flow.ts";
import { asMongotapError, MongotapError } from "../errors.ts";
import { settledWithin } from "../lib/async.ts";
import { linesOf } from "../lib/lines.ts";
import { Stop } from "../lib/process.ts";
import { openConnection } from "../run/connection.ts";
import { resolveBindings } from "../source/catalog.ts";
import { nameOf } from "../source/record.ts";
import { openStdoutSink } from "../sink/stdout.ts";
import type { PlatformCommand } from "./command.ts";
import { catalogOf, scopeFor } from "./discover-read.ts";

/** The version of the protocol that the runtime demands. */
const PROTOCOL = 3032023;
const DOCUMENTATION = "https://github.com/mongotap/mongotap/blob/main/docs/platforms.md";
const OWN_SETTINGS: readonly OptionName[] = [];
/** The name of the config in messages. */
const CONFIG = "the config";

export const flow: PlatformCommand = async (call) => {
  const connector: ConnectorCall = { ...call, command: "flow" };
  await using output = new MessageOutput(await openStdoutSink({ fd: 1, refuseNull: false }));
  const lines = linesOf(call.context.stdin());
  for (;;) {
    const request = await nextRequest(lines);
    if (request === undefined) break;
    if (request.kind === "open") {
      await openCapture(request, connector, output, lines);
      break;
    }
    await output.say(await ANSWERS[request.kind](request, connector));
  }
  await output.written();
  return 0;
};

type Answer = (request: Request, call: ConnectorCall) => unknown;

const ANSWERS: Readonly<Record<Exclude<RequestKind, "open">, Answer>> = {
  spec: () => ({
    spec: {
      protocol: PROTOCOL,
      configSchema: connectionSpecification("secret", OWN_SETTINGS, {}),
      resourceConfigSchema: RESOURCE_SCHEMA,
      documentationUrl: DOCUMENTATION,
      resourcePathPointers: ["/database", "/collection"],
    },
  }),
  discover: async ({ body }, call) => ({ discovered: { bindings: await discovered(await configuredBy(body, call)) } }),
  validate: async ({ body }, call) => {
    const bindings = readBindings(body);
    await checkBindings(await configuredBy(body, call), bindings);
    const paths = bindings.map(({ namespace: { db, collection } }) => ({ resourcePath: [db, collection] }));
    return { validated: { bindings: paths } };
  },
  apply: () => ({ applied: { actionDescription: "" } }),
  acknowledge: () => {
    throw new MongotapError("config", "checkpoints are acknowledged, but no capture is open");
  },
};

function configuredBy(body: Request["body"], call: ConnectorCall): Promise<Configured> {
  return configure(call, configOf(body), CONFIG, {});
}

/** The collections that have a change stream. Flow infers their schemas from the documents, so none are sampled. */
async function discovered({ invocation, target }: Configured): Promise<readonly unknown[]> {
  const { settings, namespaces } = invocation;
  const discovery = { ...settings, sample: 0, as: "flow", diff: undefined, examples: "none" } as const;
  const catalog = await catalogOf(
    { ...invocation, settings: discovery },
    scopeFor(namespaces, settings.exclude),
    target,
  );
  return catalog.entries.filter(({ noStream }) => noStream === null).map(({ info }) => flowBinding(info.namespace));
}

/** @throws MongotapError `config` with all bindings that cannot be captured */
async function checkBindings({ invocation, target }: Configured, bindings: readonly FlowBinding[]): Promise<void> {
  await using connection = await openConnection(invocation, target);
  const { client, server } = connection;
  const namespaces = bindings.map(({ namespace }) => namespace);
  const found = await resolveBindings(client, namespaces, () => true);
  const infos = new Map(found.map((info) => [nameOf(info.namespace), info]));
  const problems = namespaces.flatMap((namespace) => {
    const name = nameOf(namespace);
    const info = infos.get(name);
    if (info === undefined) return [`${name} does not exist`];
    const obstacle = streamObstacle(info, server.topology);
    return obstacle === null ? [] : [`${name}: ${obstacle}`];
  });
  if (problems.length > 0) throw new MongotapError("config", problems.join("; "), { hint: "Disable these bindings." });
}

/** Runs a capture until the requests end, a signal comes, or an acknowledgement is wrong. */
async function openCapture(
  { body }: Request,
  call: ConnectorCall,
  output: MessageOutput,
  lines: AsyncGenerator<string>,
): Promise<void> {
  const spec = captureOf(body);
  const bindings = readBindings(spec);
  const configured = await configuredBy(spec, call);
  await output.say({ opened: { explicitAcknowledgements: true } });
  const checkpoints = new Checkpoints();
  const stop = new AbortController();
  const signal = AbortSignal.any([call.context.signal, stop.signal]);
  const order = { configured, bindings, state: stateOf(body), output, checkpoints, signal };
  const session = bindings.length === 0 ? undefined : capture(order);
  let failure: MongotapError | undefined;
  const requests = readAcknowledgements(lines, checkpoints).catch((error: unknown) => {
    failure = asMongotapError(error);
  });
  void requests.then(() => stop.abort(new Stop({ kind: "input" })));
  if (bindings.length === 0) await settledWithin(requests, call.context.signal, 0);
  await session;
  if (failure !== undefined) throw failure;
}

/** Resolves when the requests end. @throws MongotapError `config` for a request that does not belong here */
async function readAcknowledgements(lines: AsyncGenerator<string>, checkpoints: Checkpoints): Promise<void> {
  for (;;) {
    const request = await nextRequest(lines);
    if (request === undefined) return;
    if (request.kind !== "acknowledge") {
      throw new MongotapError("config", `a request to ${request.kind} came while a capture is open`);
    }
    checkpoints.onAcknowledged(acknowledgedBy(request.body));
  }
}

/** Undefined where the requests have ended. Empty lines are no requests. */
async function nextRequest(lines: AsyncGenerator<string>): Promise<Request | undefined> {
  for (;;) {
    const next: IteratorResult<string, unknown> = await lines.next();
    if (next.done === true) return undefined;
    if (next.value.trim() !== "") return parseRequest(next.value);
  }
}
