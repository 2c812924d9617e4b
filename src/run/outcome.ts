/** How a run ended: its exit code, what it copied, and what it left out. */

import { MongotapError } from "../errors.ts";
import type { Stop } from "../lib/process.ts";
import type { Logger } from "../observe/log.ts";
import { countOf, type Stats, summaryOf } from "../observe/stats.ts";
import type { EnvelopeName } from "../protocol/envelopes.ts";
import type { Encoder, Omissions } from "../protocol/protocol.ts";

/** The outcome of the pump (`PumpResult`), with what stopped it. */
export type RunEnd =
  | { readonly outcome: "finished" | "limited" }
  | { readonly outcome: "stopped" | "cut"; readonly stop: Stop };

/** What the user asked for. */
export interface Expectation {
  /** The run ends by itself. To stop it earlier is then no success. */
  readonly bounded: boolean;
  /** The run must reach its end: `--limit` is no end. */
  readonly mustFinish: boolean;
  /** The output, as messages name it. */
  readonly output: string;
}

export interface Conclusion {
  /** The output holds all that was asked for. */
  readonly isComplete: boolean;
  readonly exitCode: number;
  /** Printed at the end of the run. */
  readonly problem?: MongotapError;
}

/** The conclusion of a run that no error ended. */
export function conclusionOf(end: RunEnd, { bounded, mustFinish, output }: Expectation): Conclusion {
  switch (end.outcome) {
    case "finished":
      return { isComplete: true, exitCode: 0 };
    case "limited":
      return mustFinish ? incomplete("--limit came before the end was reached") : { isComplete: true, exitCode: 0 };
    case "stopped":
      return bounded
        ? incomplete(`${end.stop.message} before the end was reached`)
        : { isComplete: false, exitCode: 0 };
    case "cut": {
      const { reason } = end.stop;
      if (reason.kind === "signal") return { isComplete: false, exitCode: 128 + reason.number };
      return incomplete(`the reader of ${output} takes no more and the time is over`);
    }
  }
}

function incomplete(message: string): Conclusion {
  const problem = new MongotapError("limit", message);
  return { isComplete: false, exitCode: problem.exitCode, problem };
}

/** Prints the problem that a command found, if any, and returns the exit code. */
export function exitWith(log: Logger, problem: MongotapError | undefined): number {
  if (problem === undefined) return 0;
  log.fatal(problem);
  return problem.exitCode;
}

export interface Summary {
  readonly stats: Stats;
  readonly encoder: Pick<Encoder, "omissions">;
  readonly form: LineForm;
  /** The output, as messages name it. */
  readonly output: string;
  /** The file with the documents that cannot be carried; undefined if they are left out. */
  readonly quarantine: string | undefined;
}

/** The form of the lines, as messages name it, and what it can say. */
export interface LineForm {
  /** `--envelope meta`, or a protocol. */
  readonly name: string;
  /** It has a line for an update without its document. */
  readonly hasKeysOnly: boolean;
  /** It marks an update whose document may be newer. */
  readonly hasMarks: boolean;
  /** What it does with fields of a document that have the name of its own: a verb. */
  readonly hiding: "hides" | "leaves out";
  /** What to do about them. */
  readonly remedy: string;
  /** A setting as users give it. */
  readonly setting: (name: string, value: string) => string;
}

export function formOf(envelope: EnvelopeName): LineForm {
  const isBare = envelope === "none";
  return {
    name: `--envelope ${envelope}`,
    hasKeysOnly: !isBare,
    hasMarks: !isBare,
    hiding: "hides",
    remedy: "; use --envelope change",
    setting: (name, value) => `--${name} ${value}`,
  };
}

/** Logs what was copied, and what was left out. A failed run does so as well. */
export function logSummary(log: Logger, summary: Summary): void {
  const { stats, output } = summary;
  log.info(`${summaryOf(stats, performance.now())} → ${output === "-" ? "standard output" : output}`);
  logOmissions(log, summary);
}

/** Logs what was left out. */
export function logOmissions(
  log: Logger,
  { encoder, form, quarantine }: Pick<Summary, "encoder" | "form" | "quarantine">,
): void {
  const { deletes, ends, ended, updates, unknownEvents, invalidUtf8, badDocuments, hiddenFields, idsAlike } =
    encoder.omissions();
  if (deletes > 0) log.warn(`${countOf(deletes, "delete")} left out: ${form.name} cannot show them`);
  if (ends > 0) {
    log.warn(`the end of ${listOf([...ended])} left out: ${form.name} cannot show that what came before it is void`);
  }
  logUpdates(log, updates, form);
  for (const [kind, count] of unknownEvents)
    log.warn(`${countOf(count, "event")} of the unknown kind ${JSON.stringify(kind)} left out`);
  if (badDocuments > 0) {
    const fate = quarantine === undefined ? "left out" : `put into ${quarantine}`;
    log.warn(`${countOf(badDocuments, "document")} that cannot be carried: ${fate}`);
  }
  if (invalidUtf8 > 0)
    log.warn(`${countOf(invalidUtf8, "string")} with invalid UTF-8: written with U+FFFD in its place`);
  for (const [field, count] of hiddenFields) {
    log.warn(
      `${countOf(count, "line")}: the document has a field ${field} of its own, which ${form.name} ${form.hiding}${form.remedy}`,
    );
  }
  for (const [name, types] of idsAlike) {
    const counts = types.map(([type, count]) => `${count.toLocaleString("en-US")} ${type}`).join(", ");
    log.warn(
      `${name}: the _ids have several types (${counts}), and ${form.setting("format", "plain")} may write two of them alike: use ${form.setting("format", "relaxed")}`,
    );
  }
}

/** The first names, `most` at the most, and how many more there are. */
export function listOf(names: readonly string[], most = 10): string {
  const more = names.length - most;
  return more > 0 ? `${names.slice(0, most).join(", ")} and ${more} more` : names.join(", ");
}

const WITHOUT_DOCUMENT = {
  deleted: "the same transaction deleted it",
  unavailable: "the version could not be read any more, and the document or its collection is gone",
  notRequested: "--full-document none asks for none",
} as const;

/** Updates that do not show the document as they left it. */
function logUpdates(log: Logger, updates: Omissions["updates"], form: LineForm): void {
  const what = form.hasKeysOnly ? "written without a document" : "left out";
  for (const [note, why] of Object.entries(WITHOUT_DOCUMENT)) {
    const count = updates[note as keyof typeof WITHOUT_DOCUMENT];
    if (count > 0) log.warn(`${countOf(count, "update")} ${what}: ${why}`);
  }
  if (updates.mayBeNewer === 0) return;
  const mark = form.hasMarks ? " and are marked" : "";
  log.warn(
    `${countOf(updates.mayBeNewer, "update")} may show a newer document${mark}: the server could not read the version of the change any more`,
  );
}
