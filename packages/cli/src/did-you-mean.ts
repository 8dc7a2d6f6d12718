/** Of the letters: two in five may be wrong and it is still a slip of the keyboard. */
const MOST_WRONG = 0.4;

/** The known word that a mistyped one most likely means; undefined where none is near. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const [nearest] = known
    .map((each) => ({ each, wrong: distance(word.toLowerCase(), each.toLowerCase()) }))
    .sort((a, b) => a.wrong - b.wrong);
  return nearest && nearest.wrong <= MOST_WRONG * Math.max(word.length, nearest.each.length) ? nearest.each : undefined;
}

/** Letters that are to be put in, left out or changed to make one word of the other (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries())
      next.push(Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)));
    row = next;
  }
  return row.at(-1) ?? 0;
}
