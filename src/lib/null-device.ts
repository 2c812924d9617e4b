/** The device that swallows what is written. */

import { type Stats, statSync } from "node:fs";

/** False where there is no /dev/null. */
export function isNullDevice(found: Stats): boolean {
  return found.isCharacterDevice() && found.rdev === statSync("/dev/null", { throwIfNoEntry: false })?.rdev;
}
