/** Drives a headless Chromium over its DevTools protocol, without a package. */

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--hide-scrollbars",
  "--remote-debugging-port=0",
];

/** The program: `$CHROMIUM` if it is set, else the first on PATH; undefined if there is none. */
export function findChromium(): string | undefined {
  const candidates = process.env["CHROMIUM"] === undefined ? NAMES : [process.env["CHROMIUM"]];
  return candidates.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** One page. `events` holds all events so far. */
export interface Page extends AsyncDisposable {
  readonly events: readonly { readonly method: string; readonly params: Readonly<Record<string, unknown>> }[];
  send(method: string, params?: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
  /** The value of a JavaScript expression in the page. */
  evaluate(expression: string): Promise<unknown>;
}

/** Starts `program` with an empty profile; disposing the page ends it and removes the profile. */
export async function openPage(program: string): Promise<Page> {
  const profile = mkdtempSync(join(tmpdir(), "mongotap-chromium-"));
  const child = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  };
  try {
    return await connectPage(await portOf(profile), end);
  } catch (error) {
    await end();
    throw error;
  }
}

async function portOf(profile: string): Promise<string> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    try {
      const [port] = readFileSync(join(profile, "DevToolsActivePort"), "utf8").split("\n");
      if (port !== undefined && port !== "") return port;
    } catch {
      // the file does not exist yet
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("chromium did not start within 30 s");
}

async function connectPage(port: string, end: () => Promise<void>): Promise<Page> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
    type: string;
    webSocketDebuggerUrl: string;
  }[];
  const target = targets.find(({ type }) => type === "page");
  if (target === undefined) throw new Error("chromium has no page");
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true });
    socket.addEventListener("error", reject, { once: true });
  });
  const events: { method: string; params: Readonly<Record<string, unknown>> }[] = [];
  const waiting = new Map<number, (reply: Reply) => void>();
  let sent = 0;
  socket.addEventListener("message", ({ data }) => {
    const reply = JSON.parse(String(data)) as Reply;
    if (reply.id !== undefined) waiting.get(reply.id)?.(reply);
    else if (reply.method !== undefined) events.push({ method: reply.method, params: reply.params ?? {} });
  });
  const send: Page["send"] = async (method, params = {}) => {
    const id = (sent += 1);
    const answer = new Promise<Reply>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answer;
    waiting.delete(id);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  };
  return {
    events,
    send,
    async evaluate(expression) {
      const { result, exceptionDetails } = await send("Runtime.evaluate", {
        expression,
        returnByValue: true,
        awaitPromise: true,
      });
      if (exceptionDetails !== undefined) throw new Error(`the page threw on: ${expression}`);
      return (result as { value?: unknown }).value;
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await end();
    },
  };
}
