/** The candidate with the fewest typing errors from `word`, if few enough to be a typo; else null. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null
  let fewest = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const errors = typingErrors(word.toLowerCase(), candidate.toLowerCase())
    if (errors < fewest) [best, fewest] = [candidate, errors]
  }
  return best
}

/** Levenshtein's distance, with the swap of two neighbours counted as one error. */
export function typingErrors(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let errors = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1))
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        errors = Math.min(errors, beforeLast[column - 2]! + 1)
      current.push(errors)
    }
    beforeLast = last
    last = current
  }
  return last[b.length]!
}
