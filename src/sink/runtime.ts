/** The one place where a sink asks which runtime it runs in: they write to pipes and share descriptors differently. */

const agent: string | undefined = globalThis.navigator?.userAgent;

/** Bun, interpreted or compiled. Everything else is treated as Deno, which takes more care. */
export const IS_BUN = agent?.startsWith("Bun/") === true;
