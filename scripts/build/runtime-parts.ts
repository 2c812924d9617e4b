/**
 * What Bun itself consists of, for the notices and the bill of materials. Bun's npm packages contain no license text; this is
 * the list of its LICENSE.md (https://github.com/oven-sh/bun/blob/main/LICENSE.md), with SPDX identifiers.
 */

export interface RuntimePart {
  readonly name: string;
  /** An SPDX expression. */
  readonly license: string;
  readonly url: string;
}

/** The version of Bun whose parts these are. A build with another one fails: read its LICENSE.md, then change this. */
export const REVIEWED_VERSION = "1.4.5";

export const RUNTIME: RuntimePart = { name: "bun", license: "MIT", url: "https://github.com/oven-sh/bun" };

const GITHUB = "https://github.com/";
const part = (name: string, license: string, url: string): RuntimePart => ({
  name,
  license,
  url: url.startsWith("https://") ? url : GITHUB + url,
});

/** Linked statically. */
const LIBRARIES: readonly RuntimePart[] = [
  part("WebKit (JavaScriptCore)", "LGPL-2.0-or-later AND BSD-2-Clause", "oven-sh/WebKit"),
  part("BoringSSL", "Apache-2.0 AND OpenSSL AND ISC AND MIT", "https://boringssl.googlesource.com/boringssl"),
  part("brotli", "MIT", "google/brotli"),
  part("libarchive", "BSD-2-Clause AND BSD-3-Clause", "libarchive/libarchive"),
  part("lol-html", "BSD-3-Clause", "cloudflare/lol-html"),
  part("ls-hpack", "MIT", "litespeedtech/ls-hpack"),
  part("ls-qpack", "MIT", "litespeedtech/ls-qpack"),
  part("lsquic", "MIT AND BSD-3-Clause", "litespeedtech/lsquic"),
  part("mimalloc", "MIT", "microsoft/mimalloc"),
  part("picohttpparser", "MIT", "h2o/picohttpparser"),
  part("zstd", "BSD-3-Clause", "facebook/zstd"),
  part("simdutf", "Apache-2.0", "simdutf/simdutf"),
  part("tinycc", "LGPL-2.1-only", "tinycc/tinycc"),
  part("uSockets", "Apache-2.0", "uNetworking/uSockets"),
  part("uWebSockets", "Apache-2.0", "jarred-sumner/uwebsockets"),
  part("zlib-ng", "Zlib", "zlib-ng/zlib-ng"),
  part("c-ares", "MIT", "c-ares/c-ares"),
  part("ICU", "ICU AND Unicode-3.0", "unicode-org/icu"),
  part("base64", "BSD-2-Clause", "aklomp/base64"),
  part("libuv (Windows)", "MIT", "libuv/libuv"),
  part("libdeflate", "MIT", "ebiggers/libdeflate"),
  part("libjpeg-turbo", "BSD-3-Clause AND IJG AND Zlib", "libjpeg-turbo/libjpeg-turbo"),
  part("libspng", "BSD-2-Clause", "randy408/libspng"),
  part("libwebp", "BSD-3-Clause", "webmproject/libwebp"),
  part("highway", "Apache-2.0", "google/highway"),
  part("uucode", "MIT", "jacobsandlund/uucode"),
  part("TigerBeetle (parts of its I/O)", "Apache-2.0", "tigerbeetle/tigerbeetle"),
  part("libc++abi (__cxa_thread_atexit)", "Apache-2.0 WITH LLVM-exception", "llvm/llvm-project"),
  part("esbuild (ported parts)", "MIT", "evanw/esbuild"),
];

/** Packages of npm that stand in for modules of Node.js; all of them are under the MIT license. */
const POLYFILLS = [
  "acorn",
  "acorn-walk",
  "assert",
  "browserify-zlib",
  "buffer",
  "constants-browserify",
  "crypto-browserify",
  "domain-browser",
  "events",
  "https-browserify",
  "os-browserify",
  "path-browserify",
  "process",
  "punycode",
  "querystring-es3",
  "stream-browserify",
  "stream-http",
  "string_decoder",
  "timers-browserify",
  "tty-browserify",
  "url",
  "util",
  "vm-browserify",
];

export const RUNTIME_PARTS: readonly RuntimePart[] = [
  ...LIBRARIES,
  ...POLYFILLS.map((name) => part(name, "MIT", "oven-sh/bun/tree/main/src/node-fallbacks")),
];
