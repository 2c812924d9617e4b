/** Loaded before every test file (bunfig.toml): tests start real servers and kill real processes, so give them time. */

import { setDefaultTimeout } from "bun:test";
import { patchDriver } from "../src/connect/driver-patches.ts";
import { setUpRandom } from "./support/random.ts";

setDefaultTimeout(60_000);
setUpRandom();
patchDriver(); // for the tests' own clients too: they write to servers that are killed
