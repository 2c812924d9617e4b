/** Connection strings, as far as the recorder has to look into them. */

const PARTS = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(\/[^?]*)?(\?.*)?$/;

export function isConnectionString(value: unknown): value is string {
  return typeof value === "string" && PARTS.test(value);
}

/** The URI with the time (ms) after which a client gives up to find its server, unless it has one of its own. */
export function withSelectionTimeout(uri: string, ms: number): string {
  const [, server, path = "/", query = ""] = PARTS.exec(uri) ?? [];
  if (server === undefined || /[?&]serverSelectionTimeoutMS=/i.test(query)) return uri;
  const more = query === "" || query === "?" ? "?" : query.endsWith("&") ? query : `${query}&`;
  return `${server}${path}${more}serverSelectionTimeoutMS=${ms}`;
}

/** A text with the URI in it, without what withSelectionTimeout() has added. */
export function withoutSelectionTimeout(text: string): string {
  return text.replaceAll(/[?&]serverSelectionTimeoutMS=\d+(?![\d&])/g, "");
}
