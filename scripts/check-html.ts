/**
 * Opens the page of `discover --as html` in a real browser and checks that it makes no requests, that no script but its own
 * runs, that search and links work, and that it fits wide and narrow screens. Leaves screenshots.
 *
 *   bun scripts/check-html.ts [--out FOLDER] [FILE.html]
 *
 * Default: a page of made-up documents, some with HTML markup in their names.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { findChromium, openPage, type Page } from "./check-html/chromium.ts";
import { samplePage } from "./check-html/sample-page.ts";

const { values, positionals } = parseArgs({
  options: { out: { type: "string", default: join(tmpdir(), "mongotap-html") } },
  allowPositionals: true,
});

const failures: string[] = [];

function check(what: string, isRight: boolean, seen: unknown = ""): void {
  console.log(`${isRight ? "✓" : "✗"} ${what}${isRight ? "" : `: ${JSON.stringify(seen)}`}`);
  if (!isRight) failures.push(what);
}

async function visit(page: Page, url: string): Promise<void> {
  await page.send("Page.navigate", { url });
  await page.evaluate(
    `new Promise((done) => document.readyState === "complete" ? done() : addEventListener("load", done))`,
  );
}

async function screenshot(page: Page, name: string, width: number, height: number): Promise<void> {
  await page.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  const { data } = await page.send("Page.captureScreenshot", { format: "png" });
  const path = join(values.out, `${name}.png`);
  writeFileSync(path, Buffer.from(String(data), "base64"));
  console.log(`  ${path}`);
  const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
  check(`${name}: no horizontal overflow`, Number(overflow) <= 0, overflow);
}

async function checkSafety(page: Page, url: string): Promise<void> {
  const requests = page.events
    .filter(({ method }) => method === "Network.requestWillBeSent")
    .map(({ params }) => (params["request"] as { url: string }).url.split("#")[0]);
  check("makes no request but for itself", requests.length === 1 && requests[0] === url, requests);
  const problems = page.events.filter(({ method }) =>
    ["Log.entryAdded", "Runtime.exceptionThrown", "Page.javascriptDialogOpening"].includes(method),
  );
  check("the browser reports no problem", problems.length === 0, problems);
  check("no script from its content has run", (await page.evaluate("globalThis.hacked")) === undefined);
  check("its own script has run", (await page.evaluate(`document.querySelector("input").hidden`)) === false);
}

async function checkSearch(page: Page): Promise<void> {
  const search = (words: string): Promise<unknown> =>
    page.evaluate(`(() => {
      const input = document.querySelector("input");
      input.value = ${JSON.stringify(words)};
      input.dispatchEvent(new Event("input"));
      return [...document.querySelectorAll("tbody tr")].filter((row) => row.offsetParent !== null).map((row) => row.dataset.path);
    })()`);
  const all = (await search("")) as string[];
  const wanted = all.find((path) => path.includes(".")) ?? all[0] ?? "";
  const found = (await search(wanted.toUpperCase())) as string[];
  check(`finds ${wanted}`, found.includes(wanted) && found.length < all.length, found);
  check("finds nothing where there is nothing", ((await search("no such field")) as string[]).length === 0);
  check("shows all again", ((await search("")) as string[]).length === all.length);
}

async function checkPage(program: string, file: string): Promise<void> {
  const url = pathToFileURL(file).href;
  await using page = await openPage(program);
  for (const domain of ["Page", "Network", "Log", "Runtime"]) await page.send(`${domain}.enable`);
  await visit(page, url);
  await checkSafety(page, url);
  await screenshot(page, "light", 1400, 1000);
  await page.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "dark" }] });
  const background = await page.evaluate("getComputedStyle(document.body).backgroundColor");
  check("has a dark mode", /^rgb\((\d|[1-4]\d), /.test(String(background)), background);
  await screenshot(page, "dark", 1400, 1000);
  await screenshot(page, "narrow", 420, 900);
  await page.send("Emulation.setDeviceMetricsOverride", {
    width: 1400,
    height: 1000,
    deviceScaleFactor: 1,
    mobile: false,
  });
  await checkSearch(page);
  const last = await page.evaluate(
    `(() => { const s = [...document.querySelectorAll("details.c")].at(-1); s.open = false; return s.id; })()`,
  );
  await page.evaluate(`location.hash = ${JSON.stringify(last)}; new Promise((done) => setTimeout(done, 200))`);
  check(
    "a link opens the section it leads to",
    (await page.evaluate(`document.getElementById(${JSON.stringify(last)}).open`)) === true,
  );
  await screenshot(page, "last", 1400, 1000);
  const bytes = readFileSync(file).length;
  console.log(`  ${file}: ${bytes.toLocaleString("en-US")} bytes`);
}

const program = findChromium();
if (program === undefined) {
  console.log("no chromium here (Debian: apt-get install chromium): the page was NOT checked");
} else {
  mkdirSync(values.out, { recursive: true });
  const given = positionals[0];
  const file = given === undefined ? join(values.out, "page.html") : resolve(given);
  if (given === undefined) writeFileSync(file, samplePage());
  await checkPage(program, file);
  console.log(failures.length === 0 ? "all checks passed" : `${failures.length} FAILED`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
