/**
 * `mongotap flow`: a capture connector of Estuary's Flow, by its JSON protocol on standard input and output.
 * https://github.com/estuary/flow/blob/master/go/protocols/capture/capture.proto
 */

import { readArguments } from "../connectors/arguments.ts";
import { type ConnectorCall, type Configured, configure } from "../connectors/connector-config.ts";
import { Checkpoints } from "../connectors/flow/checkpoints.ts";
import {
  acknowledgedBy,
  readBindings,
  captureOf,
  checkRange,
  configOf,
  type FlowBinding,
  parseRequest,
  refuseBindings,
  type Request,
  type RequestKind,
  stateOf,
} from "../connectors/flow/requests.ts";
import { capture } from "../connectors/flow/session.ts";
import { MessageOutput } from "../connectors/message-output.ts";
import { errorIn, loggerIn, platformText } from "../connectors/platform-text.ts";
import { connectionSpecification, RESOURCE_SCHEMA } from "../connectors/spec.ts";
import { excludedAmong } from "../connectors/wanted-streams.ts";
import { streamObstacle } from "../discover/catalog.ts";
import { flowBindings } from "../discover/as-flow.ts";
import { asMongotapError, firstErrorOf, MongotapError } from "../errors.ts";
import { settledWithin } from "../lib/async.ts";
import { linesOf } from "../lib/lines.ts";
import { Stop } from "../lib/process.ts";
import { openConnection } from "../run/connection.ts";
import { resolveBindings } from "../source/catalog.ts";
import { nameOf } from "../source/record.ts";
import { checkServer } from "../source/stream-command.ts";
import { openStdoutSink } from "../sink/stdout.ts";
import { END_BY_SIGNAL, type PlatformCommand } from "./command.ts";
import { catalogOf, scopeFor } from "./discover-read.ts";

/** The version of the protocol that the runtime demands. */
const PROTOCOL = 3032023;
const DOCUMENTATION = "https://github.com/mongotap/mongotap/blob/main/docs/platforms.md";
/** The name of the config in messages. */
const CONFIG = "config";

const inWordsOfFlow = platformText("raise the backfill counters of all bindings, so that they are copied again");

export const flow: PlatformCommand = async (call) => {
  try {
    for (const note of readArguments("flow", call.argv, { options: {}, mostWords: 0 }).notes) call.log.warn(note);
    return await answerAll({ ...call, log: loggerIn(inWordsOfFlow, call.log), command: "flow" });
  } catch (thrown) {
    const error = firstErrorOf(thrown);
    throw error instanceof MongotapError ? errorIn(inWordsOfFlow, error, call.log) : error;
  }
};

/** Answers requests until they end, or until a capture that was opened ends. Resolves to the exit code. */
async function answerAll(call: ConnectorCall): Promise<number> {
  const { signal } = call.context;
  await using output = new MessageOutput(await openStdoutSink({ fd: 1, refuseNull: false }), signal);
  const lines = linesOf(call.context.stdin());
  for (;;) {
    const request = await nextRequest(lines, signal);
    if (request === undefined) return 0;
    if (request.kind === "open") return await openCapture(request, call, output, lines);
    await settledWithin(output.say(await ANSWERS[request.kind](request, call)), signal, 0);
  }
}

type Answer = (request: Request, call: ConnectorCall) => unknown;

const ANSWERS: Readonly<Record<Exclude<RequestKind, "open">, Answer>> = {
  spec: () => ({
    spec: {
      protocol: PROTOCOL,
      configSchema: connectionSpecification("flow"),
      resourceConfigSchema: RESOURCE_SCHEMA,
      documentationUrl: DOCUMENTATION,
      resourcePathPointers: ["/database", "/collection"],
    },
  }),
  discover: async ({ body }, call) => ({ discovered: { bindings: await discovered(await configuredBy(body, call)) } }),
  validate: async ({ body }, call) => {
    const { bindings, problems } = readBindings(body);
    const configured = await configuredBy(body, call);
    refuseBindings([
      ...problems,
      ...problemsWithExclude(bindings, configured),
      ...(await problemsOf(bindings, configured)),
    ]);
    const paths = bindings.map(({ namespace: { db, collection } }) => ({ resourcePath: [db, collection] }));
    return { validated: { bindings: paths } };
  },
  apply: () => ({ applied: { actionDescription: "" } }),
  acknowledge: () => {
    throw new MongotapError("config", "checkpoints are acknowledged, but no capture is open");
  },
};

function configuredBy(body: Request["body"], call: ConnectorCall): Promise<Configured> {
  return configure(call, configOf(body), CONFIG);
}

/**
 * The collections that have a change stream. A server without change streams is refused: an empty answer would look like an
 * empty database. Flow infers their schemas from the documents, so none are sampled.
 */
async function discovered({ invocation, target }: Configured): Promise<readonly unknown[]> {
  const { settings, namespaces } = invocation;
  const discovery = { ...settings, sample: 0, as: "flow", diff: undefined, examples: "none" } as const;
  const catalog = await catalogOf(
    { ...invocation, settings: discovery },
    scopeFor(namespaces, settings.exclude),
    target,
    checkServer,
  );
  const streamed = catalog.entries.filter(({ noStream }) => noStream === null);
  return flowBindings(streamed.map(({ info }) => info.namespace));
}

/** The bindings that the config excludes as well: one of the two is a mistake. */
function problemsWithExclude(
  bindings: readonly FlowBinding[],
  { invocation: { settings } }: Pick<Configured, "invocation">,
): readonly string[] {
  return excludedAmong(bindings, settings.exclude).map((name) => `${name} is bound, and the config excludes it`);
}

/** What is wrong on the server: all bindings that cannot be captured. */
async function problemsOf(
  bindings: readonly FlowBinding[],
  { invocation, target }: Configured,
): Promise<readonly string[]> {
  await using connection = await openConnection(invocation, target);
  const { client, server } = connection;
  checkServer(server);
  const namespaces = bindings.map(({ namespace }) => namespace).filter(({ db, collection }) => db && collection);
  const found = await resolveBindings(client, namespaces, () => true);
  const infos = new Map(found.map((info) => [nameOf(info.namespace), info]));
  return [...new Set(namespaces.map(nameOf))].flatMap((name) => {
    const info = infos.get(name);
    if (info === undefined) return [`${name} does not exist`];
    const obstacle = streamObstacle(info, server.topology);
    return obstacle === null ? [] : [`${name}: ${obstacle}`];
  });
}

/** Runs a capture until the requests end, a signal comes, or an acknowledgement is wrong. Resolves to the exit code. */
async function openCapture(
  { body }: Request,
  call: ConnectorCall,
  output: MessageOutput,
  lines: AsyncGenerator<string>,
): Promise<number> {
  const spec = captureOf(body);
  checkRange(body);
  const { bindings, problems } = readBindings(spec);
  refuseBindings(problems);
  const { signal: stopped } = call.context;
  const inputEnded = new AbortController();
  const signal = AbortSignal.any([stopped, inputEnded.signal]);
  const configured = await configuredBy(spec, { ...call, context: { ...call.context, signal } });
  refuseBindings(problemsWithExclude(bindings, configured));
  await settledWithin(output.say({ opened: { explicitAcknowledgements: true } }), signal, 0);
  const checkpoints = new Checkpoints();
  let failure: MongotapError | undefined;
  const requests = readAcknowledgements(lines, checkpoints, stopped).catch((error: unknown) => {
    failure = asMongotapError(error);
  });
  void requests.then(() => inputEnded.abort(new Stop({ kind: "input" })));
  const order = { configured, bindings, state: stateOf(body), output, checkpoints };
  const outcome = bindings.length === 0 ? await requests : await untilAborted(capture(order), signal);
  if (failure !== undefined) throw failure;
  return outcome === "cut" && stopped.aborted ? END_BY_SIGNAL : 0;
}

/**
 * Resolves when the requests end, or `signal` aborts.
 * @throws MongotapError `config` for a request that does not belong here
 */
async function readAcknowledgements(
  lines: AsyncGenerator<string>,
  checkpoints: Checkpoints,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const request = await nextRequest(lines, signal);
    if (request === undefined) return;
    if (request.kind !== "acknowledge") {
      throw new MongotapError("config", `a request to ${request.kind} came while a capture is open`);
    }
    checkpoints.onAcknowledged(acknowledgedBy(request.body));
  }
}

/** Undefined where the requests have ended, or `signal` has aborted. Empty lines are no requests. */
async function nextRequest(lines: AsyncGenerator<string>, signal: AbortSignal): Promise<Request | undefined> {
  for (;;) {
    const next = await untilAborted<IteratorResult<string, unknown>>(settledWithin(lines.next(), signal, 0), signal);
    if (next === undefined || next.done === true) return undefined;
    if (next.value.trim() !== "") return parseRequest(next.value);
  }
}

/** As `work`, but resolves to undefined where it ends because `signal` has aborted. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (signal.aborted && error === signal.reason) return undefined;
    throw error;
  }
}
