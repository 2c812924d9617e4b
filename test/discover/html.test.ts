/** The page, as far as it can be judged without a browser; scripts/check-html.ts opens it in one. */

import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { asHtml } from "../../src/discover/as-html.ts";
import type { CatalogEntry } from "../../src/discover/catalog.ts";
import { catalogOf, entryOf } from "./catalogs.ts";

const SERVER = "mongodb://db.example.com:27017/";

const pageOf = (...entries: readonly CatalogEntry[]): string => asHtml(catalogOf(entries), SERVER);

interface Element {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Its content as in the file. */
  readonly text: string;
}

/** The elements of a page that match `selector`, by an independent parser. */
function elements(page: string, selector: string): Element[] {
  const found: { tag: string; attributes: Record<string, string>; text: string }[] = [];
  new HTMLRewriter()
    .on(selector, {
      element(element) {
        found.push({ tag: element.tagName, attributes: Object.fromEntries(element.attributes), text: "" });
      },
      text(chunk) {
        const last = found.at(-1);
        if (last !== undefined) last.text += chunk.text;
      },
    })
    .transform(page);
  return found;
}

const MARKUP = `"'><script>globalThis.hacked=1</script><img src=x onerror=hacked=1>&amp;\u2028\u202e`;

const HOSTILE = entryOf([{ [MARKUP]: MARKUP, nested: { [MARKUP]: [MARKUP] } }], {
  info: { namespace: { db: `db<i>`, collection: MARKUP }, type: "view" },
  options: { validator: { [MARKUP]: MARKUP } },
  noStream: MARKUP,
  examples: "shown",
});

describe("makes no requests", () => {
  const page = pageOf(HOSTILE, entryOf([{ a: 1 }]));

  test("no element loads or links to anything outside the page", () => {
    const links = elements(page, "[href]").map(({ attributes }) => attributes["href"]);
    expect(links).toEqual(["#c0", "#c1"]);
    expect(
      elements(page, "[src], [srcset], [data], [action], [poster], link, img, iframe, object, embed, base, form"),
    ).toEqual([]);
    expect(elements(page, "style")[0]?.text).not.toMatch(/url\(|@import|image-set/);
    expect(page.replaceAll(SERVER, "")).not.toMatch(/https?:\/\//);
  });

  test("its policy allows its script by digest, and no source", () => {
    const [meta] = elements(page, "meta[http-equiv]");
    const scripts = elements(page, "script");
    expect(scripts.length).toBe(1);
    const digest = createHash("sha256")
      .update(scripts[0]?.text ?? "")
      .digest("base64");
    expect(meta?.attributes["content"]).toBe(
      `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'`,
    );
  });
});

describe("whatever names and values hold", () => {
  const page = pageOf(HOSTILE);

  test("none of it becomes markup", () => {
    const harmless = pageOf(
      entryOf([{ f: "v", nested: { f: ["v"] } }], {
        info: { namespace: { db: "db", collection: "c" }, type: "view" },
        options: { validator: { f: "v" } },
        noStream: "n",
        examples: "shown",
      }),
    );
    const tags = (text: string): string[] => elements(text, "*").map(({ tag }) => tag);
    expect(tags(page)).toEqual(tags(harmless));
    const names = elements(page, "*").flatMap(({ attributes }) => Object.keys(attributes));
    expect(names.filter((name) => name.startsWith("on"))).toEqual([]);
  });

  test("all of it is readable, without characters that change direction or break lines", () => {
    expect(page).toContain("&lt;script&gt;globalThis.hacked=1&lt;/script&gt;");
    // An escape in the input is shown literally.
    expect(page).toContain("&gt;&amp;amp;");
    expect(page).not.toMatch(/[\u2028\u202e]/);
    expect(page).toContain("\\u202e");
  });
});

test("every tag that is opened is closed, in order", () => {
  const page = pageOf(HOSTILE, entryOf([{ a: { b: [1, "x"] } }]), entryOf(undefined), entryOf([]));
  const inside = page.replaceAll(/<(style|script)>[^]*?<\/\1>/g, "");
  const open: string[] = [];
  for (const [, slash, tag = ""] of inside.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*>/g)) {
    if (tag === "meta" || tag === "input") continue;
    if (slash === "/") expect(open.pop()).toBe(tag);
    else open.push(tag);
  }
  expect(open).toEqual([]);
});

test("the width of a bar is the presence of the field, divided by the shares of its types", () => {
  const documents = [{ a: 1, b: 1 }, { a: "x", b: null }, { a: 2 }, { a: 3 }];
  const bars = elements(pageOf(entryOf(documents)), ".bar i").map(({ attributes }) => ({
    width: attributes["style"],
    title: attributes["title"],
    kind: attributes["class"],
  }));
  expect(bars).toEqual([
    { width: "width:75%", title: "int 75 %", kind: "k-number" },
    { width: "width:25%", title: "string 25 %", kind: "k-text" },
    { width: "width:25%", title: "int 50 %", kind: "k-number" },
    { width: "width:25%", title: "null 50 %", kind: "k-null" },
  ]);
});

test("fields are indented by their depth and found by their path", () => {
  const rows = elements(pageOf(entryOf([{ a: { b: [{ c: 1 }] } }])), "tbody tr").map(({ attributes }) => attributes);
  expect(rows).toEqual([
    { "data-path": "a", style: "--d:0" },
    { "data-path": "a.b", style: "--d:1" },
    { "data-path": "a.b[]", style: "--d:2" },
    { "data-path": "a.b[].c", style: "--d:3" },
  ]);
});

test("examples have a column only if there are any", () => {
  const documents = [{ a: "Oslo" }];
  expect(elements(pageOf(entryOf(documents)), "th").length).toBe(4);
  const shown = pageOf(entryOf(documents, { examples: "shown" }));
  expect(elements(shown, "th").length).toBe(5);
  expect(elements(shown, "td.x q").map(({ text }) => text)).toEqual(["Oslo"]);
});

test("many collections are closed at first, and very many fields are cut", () => {
  const many = Array.from({ length: 13 }, () => entryOf([{ a: 1 }]));
  expect(elements(pageOf(...many), "details.c[open]").length).toBe(0);
  expect(elements(pageOf(...many.slice(1)), "details.c[open]").length).toBe(12);
  const wide = Object.fromEntries(
    Array.from({ length: 4 }, (_, i) => [
      `part${i}`,
      Object.fromEntries(Array.from({ length: 600 }, (__, n) => [`f${i}${n}x`, 1])),
    ]),
  );
  const page = pageOf(entryOf([wide]));
  expect(elements(page, "tbody tr").length).toBe(2_000);
  expect(page).toContain("404 more fields: see --as json.");
});
