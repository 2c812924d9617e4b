/** Loaded before every test file (bunfig.toml): tests start real servers and kill real processes, so give them time. */

import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(60_000);
