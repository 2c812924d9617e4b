/** What a run says about a collection that ended: one line on standard error, whatever the output holds. */

import type { CollectionEnd } from "../source/record.ts";

/** `command`: a capture copies what was replaced, a tail has changes only. */
export function endText({ name, reason, renamedTo, renamedFrom }: CollectionEnd, command: string): string {
  switch (reason) {
    case "dropped":
      return `${name} was dropped`;
    case "renamed":
      return `${name} was renamed to ${renamedTo ?? "another name"}`;
    case "replaced": {
      const how =
        renamedFrom === undefined
          ? "$out, or a rename from another database, wrote it anew"
          : `${renamedFrom} was renamed to its name`;
      const missing = command === "tail" ? "; the changes do not contain the documents that it has now" : "";
      return `${name} was replaced: ${how}${missing}`;
    }
    case "copied again":
      return `${name} is copied again: what was written about it before is void`;
  }
}
