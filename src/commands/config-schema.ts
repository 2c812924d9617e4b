/** `mongotap config-schema`: prints the JSON Schema of the config file. */

import { configJsonSchema } from "../config/json-schema.ts";
import type { Command } from "./command.ts";
import { print } from "./print.ts";

export const configSchema: Command<unknown> = async () => {
  await print(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return 0;
};
