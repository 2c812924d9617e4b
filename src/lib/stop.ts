/** Why a run was asked to end: the reason of its AbortSignal. Not an error, though it travels like one. */
export type StopReason =
  | { readonly kind: "signal"; readonly name: string; readonly number: number }
  | { readonly kind: "deadline" };

export class Stop extends Error {
  override readonly name = "Stop";
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(reason.kind === "signal" ? `stopped by ${reason.name}` : "the time is over");
    this.reason = reason;
  }
}
