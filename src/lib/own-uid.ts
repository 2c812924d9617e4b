/** Who runs this process. */

import { userInfo } from "node:os";

/** The user id; undefined on Windows, and for a uid without a name, as in containers. */
export function ownUid(): number | undefined {
  try {
    const { uid } = userInfo();
    return uid < 0 ? undefined : uid;
  } catch {
    return undefined; // a uid without a name
  }
}
