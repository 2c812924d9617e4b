/** Statistics of several runs. */

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Throws if there are no numbers. */
export function summarize(numbers: readonly number[]): Summary {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) throw new Error("a summary of no numbers");
  return { median: quantile(sorted, 0.5), min, max };
}

/** Of ascending numbers; between two of them it is interpolated. */
export function quantile(ascending: readonly number[], part: number): number {
  const at = (ascending.length - 1) * part;
  const below = ascending[Math.floor(at)];
  const above = ascending[Math.ceil(at)];
  if (below === undefined || above === undefined) throw new Error("a quantile of no numbers");
  return below + (above - below) * (at - Math.floor(at));
}

export function median(numbers: readonly number[]): number {
  return summarize(numbers).median;
}
