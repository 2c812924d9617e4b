/** The notices of a binary: scripts/build/bundle.ts puts their text in the place of this module. Undefined in the sources. */

export const NOTICES: string | undefined = undefined;
