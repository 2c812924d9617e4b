/** Random choices of tests. `MONGOTAP_TEST_SEED=N bun test FILE` repeats those of the run that printed this seed. */
import process from "node:process";
import fc from "fast-check";
import { Random, SEED_VARIABLE, seedFrom } from "../../scripts/lib/random.ts";

const seed = seedFrom(process.env);

/** Gives fast-check the seed, and prints it if this process picked it: scripts/test.ts prints the one that it sets. */
export function setUpRandom(): void {
  fc.configureGlobal({ seed });
  if (process.env[SEED_VARIABLE] === String(seed)) return;
  process.env[SEED_VARIABLE] = String(seed); // the next file may load this module again
  console.error(`${SEED_VARIABLE}=${seed}`);
}

/** The generator of the test `name`, or of one of its parts: the same numbers in every run with the same seed. */
export function randomFor(name: string): Random {
  return Random.for(seed, name);
}
