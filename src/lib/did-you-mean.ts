/** The candidate with the least edit distance to `text`; undefined if none is close enough to be a typing error. */
export function didYouMean(text: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let leastDistance = Math.max(2, Math.floor(text.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(text, candidate);
    if (distance < leastDistance) [best, leastDistance] = [candidate, distance];
  }
  return best;
}

/** https://en.wikipedia.org/wiki/Levenshtein_distance#Iterative_with_two_matrix_rows */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitute));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
